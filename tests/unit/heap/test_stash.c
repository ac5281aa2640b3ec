/* What a thread keeps of large blocks that it freed: it is the next one handed out, is free as any other meanwhile, is bounded, and goes
 * back by every way that empties a cache. */
#include "heap_harness.h"

#include "heap/stash.h"

enum { N_FILL = 1280, N_MAX = 16, SIZE = 40000 };

static void *fill[N_FILL]; /* so much is in use that the share for one thread is its most */

static int fill_up(void **state)
{
    (void)state;
    harness_init();
    harness_alloc_n(fill, N_FILL, SIZE);
    harness_free(harness_alloc(16));
    return 0;
}

/* Nothing is in the stash, and no tick empties it. */
static void start(void)
{
    harness_start_afresh();
    harness_free(harness_alloc(16));
    tcache_self->next_decay_ns = UINT64_MAX;
    assert_int_equal(tcache_self->stash.n_slices, 0);
}

static void the_last_one_freed_is_the_next(void **state)
{
    (void)state;
    start();
    void *a = harness_alloc(SIZE), *b = harness_alloc(SIZE), *c = harness_alloc(3 * SLICE_SIZE);
    size_t mapped = heap_mapped_bytes();
    harness_free(a);
    harness_free(b);
    harness_free(c);
    harness_check();
    assert_int_equal(tcache_self->stash.n_slices, 5);
    assert_int_equal(heap_mapped_bytes(), mapped);
    bool is_zero = true;
    os_critical_enter();
    assert_ptr_equal(heap_large_alloc(3 * SLICE_SIZE - 5000, SLICE_SIZE, FLAVOR_MALLOC, &is_zero), c);
    os_critical_leave();
    assert_false(is_zero);
    assert_int_equal(harness_usable(c), 3 * SLICE_SIZE - 4096);
    assert_ptr_equal(harness_alloc(SLICE_SIZE), b);
    assert_ptr_equal(harness_alloc(SIZE), a);
    assert_int_equal(heap_mapped_bytes(), mapped);
    harness_check();
    void *const blocks[] = {a, b, c};
    for (size_t i = 0; i < N_ELEMENTS(blocks); i++)
        harness_free(blocks[i]);
}

static void what_is_kept_is_free(void **state)
{
    (void)state;
    start();
    void *p = harness_alloc(SIZE);
    os_critical_enter();
    size_t used = heap_recount();
    os_critical_leave();
    harness_free(p);
    assert_int_equal(harness_state(p), HEAP_FREE);
    os_critical_enter();
    assert_int_equal(heap_recount(), used - bits_round_up(SIZE, 4096));
    os_critical_leave();
}

static void free_once(void *p)
{
    harness_free_slow(p);
}
static void free_by_another(void *p)
{
    harness_in_thread(free_once, p);
}

static void a_second_free_is_told(void **state)
{
    (void)state;
    start();
    void *p = harness_alloc(SIZE);
    harness_free(p);
    assert_int_equal(tcache_self->stash.n_slices, 1);
    harness_expect_abort(free_once, p, MISUSE_DOUBLE_FREE);
    harness_expect_abort(free_by_another, p, MISUSE_DOUBLE_FREE);
    harness_expect_abort(free_once, (char *)p + 16, MISUSE_INVALID_FREE);
}

static void so_much_is_kept_and_no_more(void **state)
{
    (void)state;
    void *blocks[2 * N_MAX];
    start();
    harness_alloc_n(blocks, 2 * N_MAX, SIZE);
    size_t mapped = heap_mapped_bytes();
    harness_free_n(blocks, 2 * N_MAX);
    assert_int_equal(tcache_self->stash.n_slices, N_MAX);
    assert_int_equal(heap_mapped_bytes(), mapped - N_MAX * SLICE_SIZE);
    void *p = harness_alloc((STASH_SPAN_SLICES + 1) * SLICE_SIZE);
    start();
    harness_free(p);
    assert_int_equal(tcache_self->stash.n_slices, 0);
    harness_check();
}

/* A small program keeps nothing. */
static void it_is_a_share_of_what_is_in_use(void **state)
{
    (void)state;
    start();
    harness_free_n(fill + N_FILL / 4, N_FILL - N_FILL / 4);
    start();
    void *blocks[N_MAX];
    harness_alloc_n(blocks, N_MAX, SIZE);
    harness_free_n(blocks, N_MAX);
    assert_in_range(tcache_self->stash.n_slices, 1, N_MAX / 2);
    start();
    harness_alloc_n(fill + N_FILL / 4, N_FILL - N_FILL / 4, SIZE);
}

static void only_plain_blocks_of_malloc_are_kept(void **state)
{
    (void)state;
    start();
    for (unsigned flavor = 0; flavor < FLAVOR_N; flavor++) {
        bool is_zero;
        if (flavor == FLAVOR_GC_TYPED)
            continue;
        os_critical_enter();
        void *p = heap_large_alloc(SIZE, 16, flavor, &is_zero);
        os_critical_leave();
        harness_free(p);
        assert_int_equal(tcache_self->stash.n_slices, flavor == FLAVOR_MALLOC);
        start();
    }
    void *p = harness_alloc(SIZE);
    os_critical_enter();
    span_flag_set(harness_span(p), SPAN_SPECIAL);
    os_critical_leave();
    harness_free(p);
    assert_int_equal(tcache_self->stash.n_slices, 0);
    harness_check();
}

/* Sizes that differ from one use to the next must not add up to anything. */
static void the_estimate_follows(void **state)
{
    (void)state;
    enum { N = 1000 };
    start();
    harness_free(harness_alloc(SIZE));
    os_critical_enter();
    size_t before = heap_recount();
    for (int i = 0; i < N; i++) {
        bool is_zero;
        assert_int_equal(heap_free(heap_large_alloc(i % 2 != 0 ? SIZE : SLICE_SIZE, 16, FLAVOR_MALLOC, &is_zero)), HEAP_FREED);
        tcache_account(tcache_self, i % 3 == 0 ? -SIZE : 0);
        tcache_account(tcache_self, i % 3 == 2 ? SIZE : 0);
    }
    tcache_account(tcache_self, (N + 2) / 3 * (int64_t)SIZE - N / 3 * (int64_t)SIZE);
    assert_in_range(heap_used_estimate(), before - SLICE_SIZE, before + SLICE_SIZE);
    assert_in_range(tcache_self->used_delta_bytes, 0, TCACHE_ACCOUNT_BYTES - 1);
    os_critical_leave();
}

static void keep(void *n_slices)
{
    void *blocks[N_MAX];
    harness_free(harness_alloc(16)); /* a thread without a cache keeps nothing */
    tcache_self->next_decay_ns = UINT64_MAX;
    harness_alloc_n(blocks, N_MAX, SIZE);
    harness_free_n(blocks, N_MAX);
    *(uint32_t *)n_slices = tcache_self->stash.n_slices;
}

static void every_way_that_empties_a_cache_empties_it(void **state)
{
    (void)state;
    uint32_t n_kept;
    start();
    size_t mapped = heap_mapped_bytes();
    keep(&n_kept);
    assert_int_equal(n_kept, N_MAX);
    os_critical_enter();
    heap_trim(0);
    os_critical_leave();
    assert_int_equal(heap_mapped_bytes(), mapped);
    keep(&n_kept);
    tcache_self->next_decay_ns = 0;
    harness_free(harness_alloc(SIZE)); /* a tick, by a large block alone */
    assert_int_equal(heap_mapped_bytes(), mapped);
    harness_in_thread(keep, &n_kept);
    assert_int_equal(n_kept, N_MAX);
    assert_int_equal(heap_mapped_bytes(), mapped);
    keep(&n_kept);
    os_critical_enter();
    for (uintptr_t at = heap_map.arena_base; at < heap_map.arena_base + heap_map.arena_bytes; at += SLICE_SIZE) {
        struct span *s = span_of_ref(slice_of(at)->span);
        if (slice_of(at)->span != 0 && s->list_no == LIST_STASH)
            assert_true(heap_release_dead_span(s)); /* as the collector does with what holds no live block */
    }
    os_critical_leave();
    assert_int_equal(tcache_self->stash.n_slices, 0);
    assert_int_equal(heap_mapped_bytes(), mapped);
    harness_check();
}

static void *keep_and_wait(void *arg)
{
    uint32_t n_kept;
    pthread_barrier_t *barrier = arg;
    keep(&n_kept);
    pthread_barrier_wait(barrier);
    pthread_barrier_wait(barrier);
    harness_retire();
    return NULL;
}

static void a_child_keeps_its_own_and_no_other(void **state)
{
    (void)state;
    harness_needs_hardware();
    pthread_barrier_t barrier;
    pthread_t thread;
    uint32_t n_kept;
    start();
    keep(&n_kept);
    size_t mapped = heap_mapped_bytes();
    pthread_barrier_init(&barrier, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, keep_and_wait, &barrier), 0);
    pthread_barrier_wait(&barrier);
    pid_t pid = fork();
    if (pid == 0) {
        os_critical_enter();
        heap_fork_child();
        heap_check();
        bool is_good = tcache_self->stash.n_slices == N_MAX && heap_mapped_bytes() <= mapped + SLICE_SIZE;
        os_critical_leave();
        keep(&n_kept);
        harness_check();
        _exit(is_good ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    harness_check();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_one_freed_is_the_next),
        cmocka_unit_test(what_is_kept_is_free),
        cmocka_unit_test(a_second_free_is_told),
        cmocka_unit_test(so_much_is_kept_and_no_more),
        cmocka_unit_test(it_is_a_share_of_what_is_in_use),
        cmocka_unit_test(only_plain_blocks_of_malloc_are_kept),
        cmocka_unit_test(the_estimate_follows),
        cmocka_unit_test(every_way_that_empties_a_cache_empties_it),
        cmocka_unit_test(a_child_keeps_its_own_and_no_other),
    };
    return cmocka_run_group_tests(tests, fill_up, NULL);
}
