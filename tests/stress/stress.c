/* Seeded random program against its own knowledge of every block: threads allocate, resize, link, lose, free
 * and exchange blocks, end and are replaced; meanwhile collections, forks, module loads and signals whose
 * handlers allocate.
 *
 * What    each live block knows its size and pattern, and may hold the only pointer to a child; slots hold
 * plain, interior or tagged pointers. Every look at a block verifies it and its children. Set by  GCM_SEED
 * (else from the clock; always printed), GCM_SECONDS (5), GCM_THREADS (4), GCM_OPS (operations in the life of
 * a thread, 20000), GCM_FORKS, GCM_SIGNALS, GCM_MODULE (path to a module, else no dlopen). With GCM_THREADS=1
 * GCM_FORKS=0 GCM_SIGNALS=0 a run of one seed is the same operations each time.
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include "test_util.h"

int gc_collect_level(int level) __attribute__((weak));

enum { N_SLOTS = 512, N_MAILBOXES = 64, MAX_THREADS = 64, MAX_DEPTH = 6 };

struct block {
    struct block *child; /* the only reference to it */
    uint32_t size_bytes, seed;
    unsigned char bytes[];
};

/* A slot's word is the block's address plus its disguise. */
enum disguise { PLAIN, INTERIOR, LOW_TAG, HIGH_TAG, N_DISGUISES };
struct slot {
    uintptr_t word;
    uint32_t disguise;
};

struct worker {
    struct slot slots[N_SLOTS];
    uint64_t random, seed;
};

static _Atomic(struct block *) mailboxes[N_MAILBOXES];
static uint64_t main_seed;
static _Atomic int is_over;
static unsigned long n_ops, n_forks, with_signals;
static const char *module_path;
static _Atomic unsigned long count_ops, count_forks, count_signals, count_collections, count_modules;

#define STRESS_FAIL(...)                                                                                     \
    do {                                                                                                     \
        dprintf(2, "seed %llu: ", (unsigned long long)main_seed);                                            \
        TEST_FAIL(__VA_ARGS__);                                                                              \
    } while (0)

static uintptr_t disguise_offset(enum disguise d)
{
    static const uintptr_t offsets[N_DISGUISES] = {0, sizeof(struct block) - 1, 3, (uintptr_t)0x5a7b << 48};
    return offsets[d];
}

static struct block *slot_get(const struct slot *s)
{
    return s->word == 0 ? NULL : (struct block *)(s->word - disguise_offset((enum disguise)s->disguise));
}

static void slot_put(struct slot *s, struct block *b, uint64_t r)
{
    s->disguise = (uint32_t)(r % N_DISGUISES);
    s->word = b == NULL ? 0 : (uintptr_t)b + disguise_offset((enum disguise)s->disguise);
}

static void block_verify(const struct block *b)
{
    for (int depth = 0; b != NULL; b = b->child, depth++) {
        if (depth > MAX_DEPTH || b->size_bytes < sizeof(*b))
            STRESS_FAIL("block %p: its head was overwritten", (const void *)b);
        if (!test_is_filled(b->bytes, b->size_bytes - sizeof(*b), b->seed))
            STRESS_FAIL("block %p of %u bytes: its content changed", (const void *)b, b->size_bytes);
    }
}

static int block_depth(const struct block *b)
{
    int depth = 0;
    for (; b != NULL; b = b->child)
        depth++;
    return depth;
}

/* Mostly small; one in 64 up to 64 KiB, one in 1024 up to 4 MiB. */
static size_t stress_size(uint64_t r)
{
    size_t max = r % 1024 == 0 ? (4u << 20) : r % 64 == 0 ? 65536 : r % 8 == 0 ? 4096 : 300;
    return sizeof(struct block) + (r >> 16) % max;
}

static void block_init(struct block *b, size_t size, uint64_t r, struct block *child)
{
    b->child = child;
    b->size_bytes = (uint32_t)size;
    b->seed = (uint32_t)(r >> 32);
    test_fill(b->bytes, size - sizeof(*b), b->seed);
}

static struct block *block_allocate(size_t size, uint64_t r)
{
    size_t align = (size_t)16 << (r >> 8) % 9;
    void *p = NULL;
    switch (r % 6) {
    case 0:
        p = calloc(1, size);
        for (size_t i = 0; p != NULL && i < size; i += 1 + i / 4)
            if (((char *)p)[i] != 0)
                STRESS_FAIL("calloc gave a block that is not zero");
        return p;
    case 1:
        p = aligned_alloc(align, size);
        if (((uintptr_t)p & (align - 1)) != 0)
            STRESS_FAIL("aligned_alloc(%zu) gave %p", align, p);
        return p;
    case 2:
        return posix_memalign(&p, align, size) == 0 ? p : NULL;
    default:
        return malloc(size);
    }
}

static struct block *block_new(uint64_t r, uint64_t s, struct block *child)
{
    size_t size = stress_size(s);
    struct block *b = block_allocate(size, r);
    if (b == NULL)
        STRESS_FAIL("no memory for %zu bytes", size);
    if (malloc_usable_size(b) < size)
        STRESS_FAIL("usable size below the size asked for");
    block_init(b, size, s, child);
    return b;
}

/* Free it, and its children, or leave some of them to the collector. */
static void block_discard(struct block *b, uint64_t r)
{
    while (b != NULL) {
        struct block *child = b->child;
        if (r & 1)
            free(b);
        r >>= 1;
        b = child;
    }
}

static void op_new(struct worker *w, struct slot *s, uint64_t r)
{
    struct block *old = slot_get(s), *child = NULL;
    block_verify(old);
    if (r % 4 == 0 && block_depth(old) < MAX_DEPTH)
        child = old;
    uint64_t r1 = test_random(&w->random), r2 = test_random(&w->random), r3 = test_random(&w->random);
    struct block *b = block_new(r1, r2, child);
    slot_put(s, b, r >> 8);
    if (child == NULL)
        block_discard(old, r3);
}

static void op_free(struct worker *w, struct slot *s, uint64_t r)
{
    struct block *b = slot_get(s);
    (void)w;
    block_verify(b);
    slot_put(s, NULL, 0);
    block_discard(b, r);
}

static void op_resize(struct worker *w, struct slot *s, uint64_t r)
{
    struct block *b = slot_get(s);
    if (b == NULL)
        return;
    block_verify(b);
    size_t size = stress_size(test_random(&w->random)), old = b->size_bytes;
    uint32_t seed = b->seed;
    struct block *moved = realloc(b, size);
    if (moved == NULL)
        STRESS_FAIL("no memory for %zu bytes", size);
    size_t kept = (old < size ? old : size) - sizeof(*b);
    if (!test_is_filled(moved->bytes, kept, seed))
        STRESS_FAIL("realloc from %zu to %zu changed the content", old, size);
    block_init(moved, size, (uint64_t)seed << 32, moved->child);
    slot_put(s, moved, r >> 8);
}

static void op_exchange(struct worker *w, struct slot *s, uint64_t r)
{
    struct block *b = slot_get(s);
    (void)w;
    b = atomic_exchange(&mailboxes[r % N_MAILBOXES], b);
    block_verify(b);
    slot_put(s, b, r >> 8);
}

static void op_collect(struct worker *w, struct slot *s, uint64_t r)
{
    (void)w, (void)s;
    if (gc_collect_level == NULL || r % 64 != 0)
        return;
    gc_collect_level((int)(r >> 8) % 3);
    atomic_fetch_add(&count_collections, 1);
}

static void op_module(struct worker *w, struct slot *s, uint64_t r)
{
    if (module_path == NULL || r % 128 != 0)
        return;
    void *module = dlopen(module_path, RTLD_NOW);
    if (module == NULL)
        STRESS_FAIL("dlopen: %s", dlerror());
    void (*store)(void *) = (void (*)(void *))dlsym(module, "module_store_local");
    void *(*load)(void) = (void *(*)(void))dlsym(module, "module_load_local");
    if (store == NULL || load == NULL)
        STRESS_FAIL("dlsym: %s", dlerror());
    store(slot_get(s)); /* for a while its only reference */
    slot_put(s, NULL, 0);
    op_new(w, &w->slots[(r >> 8) % N_SLOTS], r >> 16);
    block_verify(load());
    slot_put(s, load(), r >> 20);
    dlclose(module);
    atomic_fetch_add(&count_modules, 1);
}

static void stress_step(struct worker *w)
{
    static void (*const ops[16])(struct worker *, struct slot *, uint64_t) = {
        op_new,  op_new,  op_new,    op_new,    op_new,    op_new,      op_new,     op_free,
        op_free, op_free, op_resize, op_resize, op_resize, op_exchange, op_collect, op_module};
    uint64_t r = test_random(&w->random);
    ops[r % 16](w, &w->slots[(r >> 4) % N_SLOTS], r >> 16);
}

static void stress_run(struct worker *w, unsigned long n)
{
    for (unsigned long i = 0; i < n && !atomic_load(&is_over); i++)
        stress_step(w);
    for (unsigned i = 0; i < N_SLOTS; i++)
        block_verify(slot_get(&w->slots[i]));
    atomic_fetch_add(&count_ops, n);
}

/* The table is on the stack, in a block, or in a block that only thread-local data knows; at the end it is
 * left as it is, or all is freed. */
static __thread struct worker *volatile local_worker;

static void *stress_thread(void *arg)
{
    uint64_t seed = (uintptr_t)arg;
    struct worker on_stack;
    struct worker *w = seed % 3 == 0 ? &on_stack : malloc(sizeof(*w));
    if (w == NULL)
        STRESS_FAIL("no memory");
    memset(w, 0, sizeof(*w));
    w->random = w->seed = seed;
    if (seed % 3 == 1) {
        local_worker = w;
        w = NULL;
        stress_run(local_worker, n_ops);
        w = local_worker;
    } else {
        stress_run(w, n_ops);
    }
    for (unsigned i = 0; i < N_SLOTS && seed % 2; i++)
        block_discard(slot_get(&w->slots[i]), UINT64_MAX);
    if (w != &on_stack && seed % 2)
        free(w);
    return NULL;
}

/* Exchanges a block of its own for what is in a mailbox. */
static void stress_signal(int signo)
{
    static _Atomic uint64_t n;
    (void)signo;
    int error = errno;
    uint64_t state = main_seed + atomic_fetch_add(&n, 1), r = test_random(&state);
    struct block *b = malloc(sizeof(*b) + r % 200);
    if (b != NULL) {
        block_init(b, sizeof(*b) + r % 200, r, NULL);
        b = atomic_exchange(&mailboxes[(r >> 8) % N_MAILBOXES], b);
        block_verify(b);
        block_discard(b, r >> 16);
    }
    atomic_fetch_add(&count_signals, 1);
    errno = error;
}

static void stress_child(uint64_t seed)
{
    alarm(120);
    module_path =
        NULL; /* the fork may have come while another thread was in dlopen: ld.so does not survive that */
    static struct worker w;
    memset(&w, 0, sizeof(w));
    w.random = seed;
    for (unsigned i = 0; i < 2000; i++)
        stress_step(&w);
    pthread_t id;
    n_ops = 1000;
    if (pthread_create(&id, NULL, stress_thread, (void *)(uintptr_t)(seed + 1)) != 0)
        STRESS_FAIL("pthread_create in a fork child");
    pthread_join(id, NULL);
    if (gc_collect_level != NULL)
        gc_collect_level(1);
    for (unsigned i = 0; i < N_SLOTS; i++)
        block_verify(slot_get(&w.slots[i]));
    for (unsigned i = 0; i < N_MAILBOXES; i++)
        block_verify(mailboxes[i]);
    _exit(0);
}

static void stress_fork(uint64_t seed)
{
    pid_t pid = fork();
    if (pid < 0)
        STRESS_FAIL("fork: %s", strerror(errno));
    if (pid == 0)
        stress_child(seed);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            STRESS_FAIL("waitpid: %s", strerror(errno));
    if (status != 0)
        STRESS_FAIL("fork child: status 0x%x", (unsigned)status);
    atomic_fetch_add(&count_forks, 1);
}

static uint64_t stress_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void stress_signals(long interval_us)
{
    struct sigaction action = {.sa_handler = stress_signal, .sa_flags = SA_RESTART};
    struct itimerval often = {.it_interval.tv_usec = interval_us, .it_value.tv_usec = interval_us};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
}

static void stress_start(pthread_t *id, uint64_t *random)
{
    if (pthread_create(id, NULL, stress_thread, (void *)(uintptr_t)(test_random(random) >> 1)) != 0)
        STRESS_FAIL("pthread_create");
}

int main(void)
{
    unsigned long n_threads = test_env_number("GCM_THREADS", 4),
                  n_ms = test_env_number("GCM_SECONDS", 5) * 1000;
    struct timespec clock;
    clock_gettime(CLOCK_REALTIME, &clock);
    main_seed = test_env_number("GCM_SEED",
                                (unsigned long)(clock.tv_sec * 1000 + clock.tv_nsec / 1000000) % 1000000007);
    n_ops = test_env_number("GCM_OPS", 20000);
    n_forks = test_env_number("GCM_FORKS", 1);
    with_signals = test_env_number("GCM_SIGNALS", 1);
    module_path = getenv("GCM_MODULE");
    dprintf(1, "seed %llu\n", (unsigned long long)main_seed);
    if (n_threads > MAX_THREADS)
        n_threads = MAX_THREADS;

    uint64_t random = main_seed, until = stress_now() + n_ms;
    if (with_signals)
        stress_signals(2000);
    pthread_t ids[MAX_THREADS];
    for (unsigned long i = 0; i < n_threads; i++)
        stress_start(&ids[i], &random);
    for (unsigned long i = 0; stress_now() < until; i = (i + 1) % n_threads) {
        if (n_forks)
            stress_fork(test_random(&random));
        pthread_join(ids[i], NULL);
        stress_start(&ids[i], &random);
    }
    if (n_threads > 1)
        atomic_store(&is_over, 1);
    for (unsigned long i = 0; i < n_threads; i++)
        pthread_join(ids[i], NULL);
    signal(SIGALRM, SIG_IGN);
    for (unsigned i = 0; i < N_MAILBOXES; i++)
        block_verify(mailboxes[i]);
    dprintf(1, "%lu operations, %lu collections, %lu forks, %lu signals, %lu modules, peak %ld MB\n",
            (unsigned long)count_ops, (unsigned long)count_collections, (unsigned long)count_forks,
            (unsigned long)count_signals, (unsigned long)count_modules, test_peak_rss_mb());
    return 0;
}
