/* Walking stacks: the same frames as libgcc's unwinder finds, through functions with and without frame pointers, signal
 * frames and stacks of the program; garbage ends a walk. */
#include "os_harness.h"

#include <execinfo.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "os/walk.h"
#include "unit_seed.h"

enum { N_PCS = 64, DEPTH = 7, STACK_BYTES = 256 * 1024 };

static uintptr_t mine[N_PCS];
static void *theirs[N_PCS];
static volatile unsigned n_mine, n_theirs;

__attribute__((noinline)) static void look(void)
{
    n_mine = os_walk_stack(mine, N_PCS);
    n_theirs = (unsigned)backtrace(theirs, N_PCS);
}

/* Both lists end with the same frames: everything above look(). */
static void assert_same_frames(unsigned n_at_least)
{
    unsigned n_same = 0;

    while (n_same < n_mine && n_same < n_theirs &&
           mine[n_mine - 1 - n_same] == (uintptr_t)theirs[n_theirs - 1 - n_same])
        n_same++;
    assert_true(n_same >= n_at_least);
    assert_true(n_mine - n_same <= 1); /* the place in look() itself */
}

#if defined(__clang__)
#define WITH_POINTER __attribute__((noinline))
#define WITHOUT_POINTER __attribute__((noinline))
#else
#define WITH_POINTER __attribute__((noinline, optimize("no-omit-frame-pointer")))
#define WITHOUT_POINTER __attribute__((noinline, optimize("omit-frame-pointer")))
#endif

WITH_POINTER static unsigned with_pointer(unsigned depth);

WITHOUT_POINTER static unsigned without_pointer(unsigned depth)
{
    volatile char room[100];

    room[depth] = 1;
    if (depth == 0)
        look();
    else
        with_pointer(depth - 1);
    return room[depth];
}

static unsigned with_pointer(unsigned depth)
{
    volatile char room[200];

    room[depth] = 2;
    if (depth == 0)
        look();
    else
        without_pointer(depth - 1);
    return room[depth];
}

static void same_frames_as_libgcc(void **state)
{
    (void)state;
    for (int round = 0; round < 4; round++) { /* from the second on by remembered rules, until they are forgotten */
        without_pointer(DEPTH);
        assert_same_frames(DEPTH + 3);
        with_pointer(DEPTH);
        assert_same_frames(DEPTH + 3);
        if (round == 2)
            os_walk_forget();
    }
}

static void max_is_kept(void **state)
{
    uintptr_t few[3] = {0, 0, 42};

    (void)state;
    assert_int_equal(os_walk_stack(few, 2), 2);
    assert_int_equal(few[2], 42);
}

static void on_signal(int signal_no)
{
    (void)signal_no;
    without_pointer(2);
}

static void through_a_signal_frame(int flags)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags}, before;

    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    n_mine = 0;
    raise(SIGUSR1);
    sigaction(SIGUSR1, &before, NULL);
    assert_same_frames(7);
}

static void signal_on_this_stack(void **state)
{
    (void)state;
    if (is_emulated())
        skip(); /* the frame is not the kernel's */
    through_a_signal_frame(0);
}

static void signal_on_another_stack(void **state)
{
    static char memory[64 * 1024];
    stack_t other = {.ss_sp = memory, .ss_size = sizeof(memory)}, before;

    (void)state;
    if (is_emulated())
        skip(); /* memory cannot be read through the kernel */
    assert_int_equal(sigaltstack(&other, &before), 0);
    through_a_signal_frame(SA_ONSTACK);
    sigaltstack(&before, NULL);
}

/* A function that the tables do not know: it calls its argument with, or without, a frame that can be followed. */
static void (*make_code(bool is_garbage))(void (*)(void))
{
#if defined(__x86_64__)
    static const unsigned char good[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
    /* push rbp; mov $0x123450, rbp (a place where nothing is); call; pop rbp; ret */
    static const unsigned char bad[] = {0x55, 0x48, 0xc7, 0xc5, 0x50, 0x34, 0x12, 0x00, 0xff, 0xd7, 0x5d, 0xc3};
#else
    static const unsigned good[] = {0xa9bf7bfd, 0x910003fd, 0xd63f0000, 0xa8c17bfd, 0xd65f03c0};
    static const unsigned bad[] = {0xa9bf7bfd, 0xd280081d, 0xd63f0000, 0xa8c17bfd, 0xd65f03c0};
#endif
    void *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(code != MAP_FAILED);
    memcpy(code, is_garbage ? (const void *)bad : (const void *)good, is_garbage ? sizeof(bad) : sizeof(good));
    __builtin___clear_cache((char *)code, (char *)code + 64);
    return (void (*)(void (*)(void)))code;
}

__attribute__((noinline)) static void call_through(void (*code)(void (*)(void)))
{
    volatile int after = 0;

    code(look);
    after = 1;
    (void)after;
}

/* libgcc stops at such a function; its caller is found by the frame pointer. */
static void frame_pointer_without_tables(void **state)
{
    void (*code)(void (*)(void)) = make_code(false);
    bool has_code = false, has_caller = false;

    (void)state;
    call_through(code);
    for (unsigned i = 0; i < n_mine; i++) {
        has_code = has_code || (mine[i] > (uintptr_t)code && mine[i] < (uintptr_t)code + 64);
        has_caller = has_caller || (has_code && mine[i] > (uintptr_t)call_through &&
                                    mine[i] < (uintptr_t)call_through + 256);
    }
    assert_true(has_code);
    assert_true(has_caller);
    munmap((void *)code, 4096);
}

static void garbage_ends_the_walk(void **state)
{
    void (*code)(void (*)(void)) = make_code(true);

    (void)state;
    n_mine = 0;
    call_through(code);
    assert_true(n_mine >= 1 && n_mine <= 3);
    assert_true(mine[n_mine - 1] > (uintptr_t)code && mine[n_mine - 1] < (uintptr_t)code + 64);
    munmap((void *)code, 4096);
}

/* Return addresses above are replaced by noise: the walk follows none of it far, and comes back. */
__attribute__((noinline)) static unsigned walk_below_noise(uint64_t *seed, uintptr_t *slot)
{
    uintptr_t pcs[N_PCS], saved[32];
    unsigned n;

    memcpy(saved, slot, sizeof(saved));
    for (unsigned i = 0; i < 32; i++) {
        uintptr_t near = slot[i] + unit_below(seed, 64) * 8, any = test_random(seed);
        if (unit_below(seed, 2) == 0)
            slot[i] = unit_below(seed, 3) == 0 ? any : near;
    }
    n = os_walk_stack(pcs, N_PCS);
    memcpy(slot, saved, sizeof(saved));
    return n;
}

static void noise_on_the_stack(void **state)
{
    uint64_t seed = unit_seed();

    (void)state;
    for (unsigned i = 0; i < 20000; i++)
        assert_true(walk_below_noise(&seed, (uintptr_t *)__builtin_frame_address(0)) <= N_PCS);
}

static ucontext_t main_context, other_context;

static void on_own_stack(void)
{
    without_pointer(DEPTH);
}

/* A stack that the thread's record does not know. */
static void stack_of_the_program(void **state)
{
    void *memory = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    if (is_emulated())
        skip();
    assert_true(memory != MAP_FAILED);
    assert_int_equal(getcontext(&other_context), 0);
    other_context.uc_stack.ss_sp = memory;
    other_context.uc_stack.ss_size = STACK_BYTES;
    other_context.uc_link = &main_context;
    makecontext(&other_context, on_own_stack, 0);
    n_mine = 0;
    assert_int_equal(swapcontext(&main_context, &other_context), 0);
    assert_true(n_mine >= DEPTH + 2);
    munmap(memory, STACK_BYTES);
}

static void *in_thread(void *arg)
{
    os_thread_record_stack(os_thread_register());
    without_pointer(DEPTH);
    os_thread_unregister();
    return arg;
}

static void in_another_thread(void **state)
{
    pthread_t id;

    (void)state;
    assert_int_equal(pthread_create(&id, NULL, in_thread, NULL), 0);
    pthread_join(id, NULL);
    assert_same_frames(DEPTH + 2);
}

/* ---- walks that were made before ---- */

enum { N_PATHS = 27 };

struct known_paths {
    struct os_walk_memo memo;
    uintptr_t first[N_PATHS][N_PCS];
    unsigned n[N_PATHS], n_known, n_bad;
    char tags[N_PATHS];
};

/* What was said of a path is said of no other, and a walk that is made finds what it found before. */
__attribute__((noinline)) static void know(struct known_paths *k, unsigned path)
{
    uintptr_t pcs[N_PCS];
    struct os_walk *fresh = NULL;
    unsigned n = 0;
    void *known = os_walk_known(&k->memo, pcs, N_PCS, &n, &fresh);

    k->n_known += known != NULL;
    k->n_bad += known != NULL && known != &k->tags[path];
    if (known != NULL)
        return;
    if (k->n[path] == 0)
        memcpy(k->first[path], pcs, (k->n[path] = n) * sizeof(*pcs));
    k->n_bad += n < 6 || n != k->n[path] || memcmp(pcs, k->first[path], n * sizeof(*pcs)) != 0;
    if (fresh != NULL)
        fresh->known = &k->tags[path];
}

__attribute__((noinline)) static unsigned hop_and_know(struct known_paths *k, unsigned path, unsigned rest, unsigned depth)
{
    volatile unsigned n = depth;

    if (depth == 0)
        know(k, path);
    else if (rest % 3 == 0)
        n = hop_and_know(k, path, rest / 3, depth - 1);
    else if (rest % 3 == 1)
        n = hop_and_know(k, path, rest / 3, depth - 1) + 1;
    else
        n = hop_and_know(k, path, rest / 3, depth - 1) | 1;
    return n;
}

static void *know_paths(void *arg)
{
    struct known_paths *k = arg;
    uint64_t seed = unit_seed();

    os_thread_record_stack(os_thread_register());
    for (int i = 0; i < 30000; i++) {
        unsigned path = (unsigned)unit_below(&seed, i % 2 == 0 ? 3 : N_PATHS);
        hop_and_know(k, path, path, 3);
    }
    os_thread_unregister();
    return NULL;
}

static void known_walks(void **state)
{
    static struct known_paths k;
    pthread_t id;

    (void)state;
    assert_int_equal(pthread_create(&id, NULL, know_paths, &k), 0);
    pthread_join(id, NULL);
    assert_int_equal(k.n_bad, 0);
#if defined(__x86_64__)
    assert_true(k.n_known > 1000);
#endif
}

/* Many places, by several threads at once, while rules are forgotten: what one remembers half is not used by another. */
__attribute__((noinline)) static unsigned hop(unsigned path, unsigned depth, uintptr_t *pcs)
{
    volatile unsigned n;

    if (depth == 0)
        n = os_walk_stack(pcs, N_PCS);
    else if (path % 3 == 0)
        n = hop(path / 3, depth - 1, pcs);
    else if (path % 3 == 1)
        n = hop(path / 3, depth - 1, pcs) + 0;
    else
        n = hop(path / 3, depth - 1, pcs) | 0;
    return n;
}

static void *hop_around(void *arg)
{
    uint64_t seed = (uintptr_t)arg;
    uintptr_t first[27][N_PCS], pcs[N_PCS], n_bad = 0;
    unsigned n[27] = {0};

    os_thread_record_stack(os_thread_register());
    for (int i = 0; i < 30000; i++) {
        unsigned path = (unsigned)unit_below(&seed, 27);
        if (unit_below(&seed, 100) == 0)
            os_walk_forget();
        unsigned n_now = hop(path, 3, pcs);
        if (n[path] == 0)
            memcpy(first[path], pcs, (n[path] = n_now) * sizeof(*pcs));
        n_bad += n_now != n[path] || n_now < 6 || memcmp(pcs, first[path], n_now * sizeof(*pcs)) != 0;
    }
    os_thread_unregister();
    return (void *)n_bad;
}

static void threads_share_remembered_rules(void **state)
{
    pthread_t ids[4];
    void *n_bad;

    (void)state;
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&ids[i], NULL, hop_around, (void *)(i + 1)), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(ids[i], &n_bad);
        assert_null(n_bad);
    }
}

static void places(void **state)
{
    struct os_place place;
    int on_stack;

    (void)state;
    assert_true(os_walk_place((uintptr_t)places, &place));
    assert_string_equal(place.module, "");
    assert_true(os_walk_place((uintptr_t)backtrace, &place));
    assert_non_null(strstr(place.module, "libc.so"));
    assert_true(place.offset < (uintptr_t)backtrace);
    assert_false(os_walk_place((uintptr_t)&on_stack, &place));
}

static int setup(void **state)
{
    void *warm[2];

    (void)state;
    backtrace(warm, 2);
    os_walk_init();
    os_thread_record_stack(os_thread_register());
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_frames_as_libgcc),        cmocka_unit_test(max_is_kept),
        cmocka_unit_test(signal_on_this_stack),         cmocka_unit_test(signal_on_another_stack),
        cmocka_unit_test(frame_pointer_without_tables), cmocka_unit_test(garbage_ends_the_walk),
        cmocka_unit_test(noise_on_the_stack),           cmocka_unit_test(stack_of_the_program),
        cmocka_unit_test(in_another_thread),            cmocka_unit_test(known_walks),
        cmocka_unit_test(threads_share_remembered_rules),
        cmocka_unit_test(places),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
