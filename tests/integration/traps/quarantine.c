/* With quarantine=yes a freed block is used again only when no pointer to it is left.
 *     kept       as long as a global points to it it is not handed out, by whatever collections; then it is
 *     cleared    it reads as zero
 *     resized    what realloc leaves behind is held as well, and the addresses in it are gone, but nothing else
 *     elsewhere  the same for what another thread frees
 *     rings      freed blocks that point to each other are free after a collection
 *     hanging    a finalizer is dropped and a weak reference cleared at the free, not later
 *     unseen     no function takes it for a block
 *     explicit   in mode explicit what is freed comes back, and what is only lost stays
 *     forked     it is held in a child, too, which releases it by itself
 *     stack      a coroutine frees the stack that it runs on
 *     small      a program that allocates and frees for ever does not grow
 *     large      nor by blocks of a megabyte
 *     threads    nor by four threads that free each other's
 *     giving     what is held is given up all the time while threads free, and no free is taken for a second one
 *     inhibited  nor while collections are inhibited: what is held is given up
 *     filtered   nor behind a filter of system calls
 *     limited    nor beyond a limit, when it keeps pointers to all that it freed
 *     exhausted  memory is given up before there is none
 *     never      where no collection comes by growth frees are honoured at once, too
 *     reported   in mode report frees are honoured at once, and what was held is given up
 * usage: quarantine CASE, under GCMALLOC=quarantine=yes,floor=16M */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <ucontext.h>
#include "gcmalloc.h"
#include "test_counter.h"
#include "trap.h"

extern __typeof__(gc_set_mode) gc_set_mode __attribute__((weak));
extern __typeof__(gc_set_percent) gc_set_percent __attribute__((weak));
extern __typeof__(gc_set_limit) gc_set_limit __attribute__((weak));
extern __typeof__(gc_inhibit) gc_inhibit __attribute__((weak));
extern __typeof__(gc_set_finalizer) gc_set_finalizer __attribute__((weak));
extern __typeof__(gc_run_finalizers) gc_run_finalizers __attribute__((weak));
extern __typeof__(gc_weak_link) gc_weak_link __attribute__((weak));
extern __typeof__(gc_heap_walk) gc_heap_walk __attribute__((weak));

enum { N = 400, SIZE = 656, N_SIZES = 5, PEAK_MB = 160 };
static const size_t sizes[N_SIZES] = {24, SIZE, 5000, 100000, 3 << 20};
static void *volatile kept[N]; /* pointers to freed blocks */
static uintptr_t hidden[N];

static __attribute__((noinline)) void fill_all(size_t size)
{
    for (int i = 0; i < N; i++) {
        kept[i] = malloc(size);
        TEST_CHECK(kept[i] != NULL);
        memset(kept[i], 0xa5, size < 100000 ? size : 100000);
        hidden[i] = ~(uintptr_t)kept[i];
    }
}

static void free_all(void)
{
    for (int i = 0; i < N; i++)
        free(kept[i]);
}

static void forget_all(void)
{
    for (int i = 0; i < N; i++)
        kept[i] = NULL;
}

/* One of the blocks begins in this one. */
static bool is_over_one(const void *block, size_t size)
{
    for (int i = 0; i < N; i++)
        if (~hidden[i] - (uintptr_t)block < size)
            return true;
    return false;
}

/* How many of the blocks are among the next ones of that size, which are more than lie free anywhere else. */
static __attribute__((noinline)) int count_handed_out(size_t size)
{
    enum { TRIES = 10000 };
    static void *volatile fresh[TRIES];
    int n = 0, n_tries = size < 1000 ? TRIES : size < 1000000 ? 5 * N : N;
    for (int i = 0; i < n_tries; i++) {
        fresh[i] = malloc(size);
        n += is_over_one(fresh[i], size);
    }
    for (int i = 0; i < n_tries; i++) {
        if (!is_over_one(fresh[i], size))
            free(fresh[i]);
        fresh[i] = NULL;
    }
    return n;
}

static void collect(void)
{
    TEST_CHECK(trap_collect() || trap_is_emulated());
}

static void check_held(size_t size)
{
    for (int i = 0; i < 3; i++) {
        collect();
        TEST_CHECK(count_handed_out(size) == 0);
    }
    TEST_CHECK(test_counter("held_blocks") >= N);
}

static void check_released(size_t size)
{
    uint64_t n_before = test_counter("held_released");
    forget_all();
    collect();
    TEST_CHECK(test_counter("held_released") - n_before >= N * 9 / 10);
    if (count_handed_out(size) == 0)
        TEST_FAIL("none of size %zu is handed out again", size);
}

static void case_kept(void)
{
    for (int i = 0; i < N_SIZES; i++) {
        fill_all(sizes[i]);
        free_all();
        check_held(sizes[i]);
        check_released(sizes[i]);
    }
}

static void case_cleared(void)
{
    for (int s = 0; s < N_SIZES; s++) {
        fill_all(sizes[s]);
        free_all();
        for (int i = 0; i < N; i++)
            for (size_t at = 0; at < sizes[s]; at++)
                TEST_CHECK(((const volatile char *)kept[i])[at] == 0);
        forget_all();
        collect();
    }
}

static void case_resized(void)
{
    static void *volatile moved[N];
    for (int s = 0; s < N_SIZES; s++) {
        fill_all(sizes[s]);
        for (int i = 0; i < N; i++) {
            *(void **)kept[i] = kept[(i + 1) % N];
            moved[i] = realloc(kept[i], 2 * sizes[s] + 100000);
            TEST_CHECK(*(void **)moved[i] == kept[(i + 1) % N] && ((unsigned char *)moved[i])[16] == 0xa5);
            TEST_CHECK(moved[i] == kept[i] || *(void **)kept[i] == NULL);
            TEST_CHECK(sizes[s] > SIZE || ((unsigned char *)kept[i])[16] == 0xa5); /* no address */
        }
        TEST_CHECK(count_handed_out(sizes[s]) == 0);
        for (int i = 0; i < N; i++)
            free(moved[i]);
        forget_all();
        collect();
    }
}

static void *free_elsewhere(void *arg)
{
    (void)arg;
    free_all();
    return NULL;
}

static void case_elsewhere(void)
{
    for (int i = 0; i < N_SIZES; i++) {
        pthread_t id;
        fill_all(sizes[i]);
        TEST_CHECK(pthread_create(&id, NULL, free_elsewhere, NULL) == 0 && pthread_join(id, NULL) == 0);
        check_held(sizes[i]);
        check_released(sizes[i]);
    }
}

static void case_rings(void)
{
    fill_all(SIZE);
    for (int i = 0; i < N; i++)
        *(void **)kept[i] = kept[i ^ 1];
    free_all();
    check_released(SIZE);
}

static void finalize(void *block, void *arg)
{
    (void)block, (void)arg;
    TEST_FAIL("the finalizer of a freed block ran");
}

static void case_hanging(void)
{
    static void *link;
    fill_all(SIZE);
    link = kept[0];
    TEST_CHECK(gc_set_finalizer(kept[1], finalize, NULL) == 0 && gc_weak_link(&link, kept[0], 0) == 0);
    free_all();
    TEST_CHECK(link == NULL);
    check_held(SIZE);
    check_released(SIZE);
    gc_run_finalizers();
}

static int count_in_walk(const struct gc_block *block, void *n)
{
    *(int *)n += is_over_one(block->start, 1);
    return 0;
}

static void case_unseen(void)
{
    int n = 0;
    fill_all(SIZE);
    free_all();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < N; i++)
            TEST_CHECK(gc_find_object(kept[i], NULL) == NULL);
        TEST_CHECK(gc_heap_walk(count_in_walk, &n) == 0 && n == 0);
        collect();
    }
}

static void case_explicit(void)
{
    gc_set_mode(GC_MODE_EXPLICIT);
    fill_all(SIZE);
    forget_all();
    collect();
    for (int i = 0; i < N; i++)
        TEST_CHECK(gc_find_object((void *)~hidden[i], NULL) != NULL);
    for (int i = 0; i < N; i++)
        kept[i] = (void *)~hidden[i];
    free_all();
    check_held(SIZE);
    check_released(SIZE);
}

static void case_forked(void)
{
    int status;
    fill_all(SIZE);
    free_all();
    pid_t pid = fork();
    if (pid == 0) {
        check_held(SIZE);
        check_released(SIZE);
        _exit(0);
    }
    TEST_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    check_held(SIZE);
    check_released(SIZE);
}

static ucontext_t main_context, other_context;
static void *volatile other_stack;

static void leave_for_ever(void)
{
    free(other_stack);
    setcontext(&main_context);
}

static __attribute__((noinline)) void run_coroutine(void)
{
    enum { STACK = 30000 };
    other_stack = malloc(STACK);
    getcontext(&other_context);
    other_context.uc_stack = (stack_t){.ss_sp = other_stack, .ss_size = STACK};
    makecontext(&other_context, leave_for_ever, 0);
    TEST_CHECK(swapcontext(&main_context, &other_context) == 0);
}

static void case_stack(void)
{
    for (int i = 0; i < 20; i++)
        run_coroutine();
    collect();
}

/* ---- memory ---- */

static void churn(size_t size, size_t total)
{
    for (size_t done = 0; done < total; done += size) {
        char *block = malloc(size);
        TEST_CHECK(block != NULL);
        memset(block, 1, size);
        free(block);
    }
}

static void check_peak(void)
{
    long peak = test_peak_rss_mb();
    if (peak > PEAK_MB)
        TEST_FAIL("%ld MB", peak);
}

static void case_small(void)
{
    churn(SIZE, 1 << 30);
    churn(20, 1 << 27);
    check_peak();
}

static void case_large(void)
{
    churn(100000, 1 << 30);
    churn(1 << 20, 1 << 30);
    check_peak();
}

static void *exchange(void *arg)
{
    static _Atomic(void *) mailboxes[64];
    uint64_t state = (uintptr_t)arg;
    for (int i = 0; i < 300000; i++) {
        uint64_t r = test_random(&state);
        free(atomic_exchange(&mailboxes[r % 64], malloc(100 + (r >> 8) % 3000)));
    }
    return NULL;
}

static void case_threads(void)
{
    pthread_t ids[4];
    for (uintptr_t i = 0; i < 4; i++)
        TEST_CHECK(pthread_create(&ids[i], NULL, exchange, (void *)(i + 1)) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(ids[i], NULL);
    check_peak();
}

enum { N_GIVING_THREADS = 3, N_GIVING = 800000 };
static _Atomic int n_giving;

static void *free_for_long(void *arg)
{
    for (int i = 0; i < N_GIVING; i++)
        free(malloc(64));
    n_giving--;
    return arg;
}

static void case_giving(void)
{
    pthread_t ids[N_GIVING_THREADS];
    n_giving = N_GIVING_THREADS;
    for (int i = 0; i < N_GIVING_THREADS; i++)
        TEST_CHECK(pthread_create(&ids[i], NULL, free_for_long, NULL) == 0);
    while (n_giving != 0) {
        gc_set_percent(-1);
        gc_set_percent(100);
    }
    for (int i = 0; i < N_GIVING_THREADS; i++)
        pthread_join(ids[i], NULL);
}

static void case_inhibited(void)
{
    fill_all(SIZE);
    free_all();
    gc_inhibit();
    churn(SIZE, 1 << 29);
    churn(100000, 1 << 29);
    TEST_CHECK(test_counter("held_forced") > 0);
    TEST_CHECK(count_handed_out(SIZE) > 0);
    check_peak();
}

static void case_filtered(void)
{
    struct sock_filter filter[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
    struct sock_fprog program = {1, filter};
    fill_all(SIZE);
    free_all();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(TEST_EXIT_SKIPPED);
    churn(SIZE, 1 << 29);
    churn(100000, 1 << 29);
    check_peak();
}

static void churn_keeping(void **pointers, size_t n, size_t size)
{
    for (size_t i = 0; i < n; i++) {
        pointers[i] = malloc(size);
        TEST_CHECK(pointers[i] != NULL);
        memset(pointers[i], 1, size);
        free(pointers[i]);
    }
}

static void *many[20000];

static void case_limited(void)
{
    gc_set_limit(64 << 20);
    churn_keeping(many, 5000, 100000);
    churn_keeping(many, 20000, 30000);
    TEST_CHECK(test_counter("held_forced") > 0);
    check_peak();
}

static void case_exhausted(void)
{
    struct rlimit limit = {600 << 20, 600 << 20};
    TEST_CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    churn_keeping(many, 2000, 1 << 20);
    TEST_CHECK(test_counter("held_forced") > 0);
}

/* With no limit either. */
static void case_never(void)
{
    fill_all(SIZE);
    free_all();
    TEST_CHECK(count_handed_out(SIZE) == 0);
    gc_set_percent(-1);
    TEST_CHECK(test_counter("held_forced") >= N);
    churn(SIZE, 1 << 28);
    TEST_CHECK(count_handed_out(SIZE) > 0);
    gc_set_percent(100);
    fill_all(5000);
    free_all();
    check_held(5000);
    check_released(5000);
    check_peak();
}

static void case_reported(void)
{
    fill_all(SIZE);
    free_all();
    TEST_CHECK(count_handed_out(SIZE) == 0);
    gc_set_mode(GC_MODE_REPORT);
    TEST_CHECK(test_counter("held_forced") >= N);
    TEST_CHECK(count_handed_out(SIZE) > 0);
    fill_all(5000);
    free_all();
    TEST_CHECK(count_handed_out(5000) > 0);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"kept", case_kept},           {"cleared", case_cleared},     {"resized", case_resized},     {"elsewhere", case_elsewhere},
    {"rings", case_rings},         {"hanging", case_hanging},     {"unseen", case_unseen},       {"explicit", case_explicit},
    {"forked", case_forked},       {"stack", case_stack},         {"small", case_small},         {"large", case_large},
    {"threads", case_threads},     {"giving", case_giving},     {"inhibited", case_inhibited}, {"filtered", case_filtered},   {"limited", case_limited},
    {"exhausted", case_exhausted}, {"never", case_never},         {"reported", case_reported},
};

int main(int argc, char **argv)
{
    if (gc_set_mode == NULL)
        TEST_FAIL("the library is not loaded");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (argc == 2 && strcmp(argv[1], cases[i].name) == 0) {
            cases[i].run();
            return 0;
        }
    TEST_FAIL("no such case");
}
