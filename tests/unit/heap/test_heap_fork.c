/* A fork at any instant of other threads: the child finds a whole heap, keeps its own blocks, and what reads as zero is zero.
 * Seconds from GCM_TEST_SECONDS. */
#include "heap_harness.h"

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

static int setup(void **state)
{
    (void)state;
    harness_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_child_has_a_whole_heap_whatever_others_were_doing)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
