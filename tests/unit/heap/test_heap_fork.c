/* A fork at any instant of other threads: the child finds a whole heap, keeps its own blocks, and what reads as zero is zero.
 * Seconds from GCM_TEST_SECONDS. */
#include "heap_harness.h"

#include "step.h"

enum { N_THREADS = 4, N_MINE = 40, N_KEPT = 200, N_CHILD_STEPS = 200, CHILD_GOOD = 42 };
#define MiB ((size_t)1 << 20)

static _Atomic bool must_end;
static _Atomic(void *) shared[N_MINE];

static size_t some_size(uint64_t *rng)
{
    uint64_t dice = unit_below(rng, 30);
    return dice == 0 ? unit_below(rng, MiB) + 1 : dice < 4 ? unit_below(rng, 200000) + 1 : unit_below(rng, 9000) + 1;
}

static void *large_zeroed(size_t size_bytes)
{
    bool is_zero;
    os_critical_enter();
    char *p = heap_large_alloc(size_bytes, 16, FLAVOR_MALLOC, &is_zero);
    os_critical_leave();
    for (size_t i = 0; is_zero && i < size_bytes; i += 4096)
        if (p[i] != 0)
            abort();
    for (size_t i = 0; i < size_bytes; i += 4096)
        p[i] = 1;
    return p;
}

static void resize(void **p, uint64_t *rng)
{
    if (!span_is_large(harness_span(*p)))
        return;
    os_critical_enter();
    void *q = heap_large_resize(harness_span(*p), unit_below(rng, 2 * MiB) + 40000);
    os_critical_leave();
    if (q != NULL)
        *p = q;
}

static void step(void **mine, uint64_t *rng)
{
    void **p = &mine[unit_below(rng, N_MINE)];
    uint64_t dice = unit_below(rng, 100);
    if (dice < 30)
        *p = atomic_exchange(&shared[unit_below(rng, N_MINE)], *p);
    else if (*p == NULL && dice < 40)
        *p = large_zeroed(unit_below(rng, MiB) + 40000);
    else if (*p == NULL)
        *p = harness_alloc(some_size(rng));
    else if (dice < 50)
        resize(p, rng);
    else {
        harness_free(*p);
        *p = NULL;
    }
    if (dice == 99)
        harness_retire();
    if (dice == 98) {
        os_critical_enter();
        heap_trim(0);
        arena_age();
        os_critical_leave();
    }
}

static void *churn(void *arg)
{
    uint64_t rng = (uint64_t)(uintptr_t)arg;
    void *mine[N_MINE] = {0};
    while (!must_end)
        step(mine, &rng);
    for (int k = 0; k < N_MINE; k++)
        if (mine[k] != NULL)
            harness_free(mine[k]);
    harness_retire();
    return NULL;
}

static void check_kept(unsigned char **kept)
{
    for (int i = 0; i < N_KEPT; i++) {
        CHECK(harness_usable(kept[i]) >= (size_t)i * 50 + 8);
        for (int k = 0; k < i * 50 + 8; k++)
            CHECK(kept[i][k] == (unsigned char)i);
    }
}

static int child(uint64_t seed, unsigned char **kept)
{
    void *mine[N_MINE] = {0};
    alarm(30);
    os_critical_enter();
    heap_fork_child();
    heap_check();
    os_critical_leave();
    check_kept(kept);
    for (int i = 0; i < N_CHILD_STEPS; i++) /* other threads' blocks in `shared` are freed here, too */
        step(mine, &seed);
    check_kept(kept);
    for (int i = 0; i < N_KEPT; i++)
        harness_free(kept[i]);
    harness_check();
    return CHILD_GOOD;
}

static void a_child_has_a_whole_heap_whatever_others_were_doing(void **state)
{
    (void)state;
    harness_needs_hardware();
    static unsigned char *kept[N_KEPT];
    uint64_t rng = unit_seed(), deadline = os_clock_ns() + test_env_number("GCM_TEST_SECONDS", 5) * 1000000000u;
    pthread_t threads[N_THREADS];
    int n_forks = 0;
    for (int i = 0; i < N_KEPT; i++) {
        kept[i] = harness_alloc((size_t)i * 50 + 8);
        memset(kept[i], i, (size_t)i * 50 + 8);
    }
    for (int t = 0; t < N_THREADS; t++)
        pthread_create(&threads[t], NULL, churn, (void *)(uintptr_t)test_random(&rng));
    for (; os_clock_ns() < deadline; n_forks++) {
        uint64_t seed = test_random(&rng);
        int status = 0;
        pid_t pid = fork();
        if (pid == 0)
            _exit(child(seed, kept));
        assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == CHILD_GOOD);
    }
    must_end = true;
    for (int t = 0; t < N_THREADS; t++)
        pthread_join(threads[t], NULL);
    print_message("%d forks\n", n_forks);
    check_kept(kept);
    harness_check();
}

/* ---- wherever one thread is ---- */

#ifdef __x86_64__
static uint32_t is_forks_turn; /* futex */
static _Atomic bool is_stepped_out;
static unsigned n_places;
static void *foreign_block, *still_held;

static void pass_turn(uint32_t turn)
{
    __atomic_store_n(&is_forks_turn, turn, __ATOMIC_SEQ_CST);
    os_futex_wake(&is_forks_turn, UINT32_MAX);
}

static void wait_for_turn(uint32_t turn)
{
    while (__atomic_load_n(&is_forks_turn, __ATOMIC_SEQ_CST) != turn)
        os_futex_wait(&is_forks_turn, !turn, UINT64_MAX);
}

static void on_step(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)info;
    if (!step_is_new_place(context))
        return;
    n_places++;
    pass_turn(1);
    wait_for_turn(0);
}

static void *do_each_step_by_step(void *arg)
{
    step_each_instruction(true);
    void *small = harness_alloc(700), *large = large_zeroed(100000);
    still_held = harness_alloc(700); /* its span has a use for central */
    os_critical_enter();
    void *resized = heap_large_resize(harness_span(large), 300000);
    os_critical_leave();
    harness_free(foreign_block);
    harness_free(resized != NULL ? resized : large);
    harness_free(small);
    harness_retire();
    os_critical_enter();
    tcache_unpark_all();
    os_critical_leave();
    step_each_instruction(false);
    is_stepped_out = true;
    pass_turn(1);
    return arg;
}

/* No large block is free, and no message is on its way to nobody. */
static void check_nothing_is_half_done(struct span *s, void *ctx)
{
    (void)ctx;
    CHECK((span_flags(s) & SPAN_REMOTE) == 0);
    if (span_is_large(s))
        CHECK((s->words[0].free & 1) == 0);
    for (uint32_t w = 0; !span_is_large(s) && w < s->n_words; w++)
        CHECK(s->remote[w] == 0);
}

static int child_of_step(void)
{
    alarm(30);
    os_critical_enter();
    heap_fork_child();
    heap_check();
    heap_walk_spans(check_nothing_is_half_done, NULL);
    os_critical_leave();
    harness_retire(); /* and on with a cache that may have been another's */
    void *small = harness_alloc(700), *large = large_zeroed(100000);
    harness_free(small);
    harness_free(large);
    harness_free(harness_alloc(48));
    harness_check();
    return CHILD_GOOD;
}

/* The thread that forks does nothing else, so its child is whole but for what the other was doing. */
static void a_child_has_a_whole_heap_wherever_another_was(void **state)
{
    struct sigaction action = {.sa_sigaction = on_step, .sa_flags = SA_RESTART | SA_SIGINFO};
    pthread_t stepping;
    (void)state;
    harness_needs_hardware();
    sigaction(SIGTRAP, &action, NULL);
    foreign_block = harness_alloc(48);
    assert_int_equal(pthread_create(&stepping, NULL, do_each_step_by_step, NULL), 0);
    for (wait_for_turn(1); !is_stepped_out; pass_turn(0), wait_for_turn(1)) {
        int status = 0;
        pid_t pid = fork();
        if (pid == 0)
            _exit(child_of_step());
        assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == CHILD_GOOD);
    }
    pthread_join(stepping, NULL);
    print_message("%u places\n", n_places);
    harness_check();
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef __x86_64__
        cmocka_unit_test(a_child_has_a_whole_heap_wherever_another_was),
#endif
        cmocka_unit_test(a_child_has_a_whole_heap_whatever_others_were_doing),
    };
    return cmocka_run_group_tests(tests, harness_setup, NULL);
}
