/* The heap on a kernel that refuses: each n-th call fails in turn. Nothing crashes, nothing is lost, NULL is clean, and
 * afterwards everything works. And the heap on a clock that the test moves: what is free goes back in time. */
#include <errno.h>

#include "heap_harness.h"
#include "os_fake.h"

enum { N_BLOCKS = 6000, N_PER_ROUND = 400, N_ROUNDS = 60 };
#define MiB ((size_t)1 << 20)
#define SECOND ((uint64_t)1000 * 1000 * 1000)

struct block {
    unsigned char *p;
    size_t size_bytes;
    unsigned char fill;
};
static struct block blocks[N_BLOCKS];

static void fill(struct block *b)
{
    memset(b->p, b->fill, b->size_bytes < 256 ? b->size_bytes : 256);
    b->p[b->size_bytes - 1] = b->fill;
}

static void verify(const struct block *b)
{
    for (size_t i = 0; i < b->size_bytes && i < 256; i++)
        assert_int_equal(b->p[i], b->fill);
    assert_int_equal(b->p[b->size_bytes - 1], b->fill);
}

static bool try_alloc(struct block *b, size_t size_bytes, unsigned flavor)
{
    bool is_zero;
    os_critical_enter();
    b->p = size_bytes > SIZECLASS_MAX_SMALL ? heap_large_alloc(size_bytes, 16, flavor, &is_zero)
                                            : harness_alloc_class(flavor, sizeclass_of(size_bytes));
    os_critical_leave();
    b->size_bytes = size_bytes;
    if (b->p == NULL)
        return false;
    fill(b);
    return true;
}

static void drop(struct block *b)
{
    if (b->p == NULL)
        return;
    verify(b);
    harness_free(b->p);
    b->p = NULL;
}

static void drop_all(void)
{
    for (int i = 0; i < N_BLOCKS; i++)
        drop(&blocks[i]);
    assert_int_equal(heap_recount(), 0);
}

static size_t some_size(uint64_t *rng)
{
    return unit_below(rng, 8) == 0 ? unit_below(rng, MiB) + 1 : unit_below(rng, 20000) + 1;
}

/* How many of n allocations came to nothing. */
static int alloc_some(uint64_t *rng, int n)
{
    int n_failed = 0;
    for (int i = 0; i < n; i++) {
        struct block *b = &blocks[unit_below(rng, N_BLOCKS)];
        drop(b);
        b->fill = (unsigned char)(test_random(rng) | 1);
        n_failed += !try_alloc(b, some_size(rng), (unsigned)unit_below(rng, FLAVOR_GC_TINY));
    }
    return n_failed;
}

static void resize_some(uint64_t *rng, int n)
{
    for (int i = 0; i < n; i++) {
        struct block *b = &blocks[unit_below(rng, N_BLOCKS)];
        if (b->p == NULL || !span_is_large(harness_span(b->p)))
            continue;
        size_t size = unit_below(rng, 3 * MiB) + 40000;
        os_critical_enter();
        unsigned char *p = heap_large_resize(harness_span(b->p), size);
        os_critical_leave();
        if (p == NULL) {
            verify(b);
            continue;
        }
        for (size_t k = 0; k < 256 && k < size; k++)
            assert_int_equal(p[k], b->fill);
        *b = (struct block){p, size, b->fill};
        fill(b);
    }
}

static int reset(void **state)
{
    (void)state;
    os_fake_reset();
    harness_init();
    return 0;
}

static void one_refused_mapping_costs_at_most_one_allocation(void **state)
{
    (void)state;
    uint64_t rng = unit_seed();
    for (unsigned nth = 1; nth <= N_ROUNDS; nth++) {
        os_fake_fail(OS_FAKE_MAP, nth % 12 + 1, 1, nth % 3 == 0 ? -EEXIST : -ENOMEM);
        assert_true(alloc_some(&rng, N_PER_ROUND) <= 1);
        resize_some(&rng, 20);
        os_fake_fail(OS_FAKE_MAP, 0, 0, 0);
        assert_int_equal(alloc_some(&rng, 20), 0);
        harness_check();
    }
    drop_all();
}

/* Large blocks until there is no memory; linked through their first words. */
static void *exhaust(void)
{
    void *first = NULL;
    for (;;) {
        struct block b = {.fill = 1};
        if (!try_alloc(&b, MiB, FLAVOR_MALLOC))
            return first;
        *(void **)b.p = first;
        first = b.p;
    }
}

static void give_back(void *first)
{
    for (void *next; first != NULL; first = next) {
        next = *(void **)first;
        harness_free(first);
    }
}

static void no_memory_at_all_is_survived_on_what_there_is(void **state)
{
    (void)state;
    uint64_t rng = unit_seed();
    for (unsigned nth = 1; nth <= 20; nth++) {
        os_fake_fail(OS_FAKE_MAP, nth, 1000000, -ENOMEM);
        void *first = exhaust();
        assert_non_null(first);
        alloc_some(&rng, N_PER_ROUND);
        resize_some(&rng, 20);
        harness_check();
        void *second = *(void **)first;
        harness_free(first);
        struct block b = {.fill = 2};
        assert_true(try_alloc(&b, MiB, FLAVOR_MALLOC)); /* what was freed can be had again */
        drop(&b);
        os_fake_fail(OS_FAKE_MAP, 0, 0, 0);
        assert_int_equal(alloc_some(&rng, 50), 0);
        harness_check();
        give_back(second);
    }
    drop_all();
}

static void take_a_cache(void *arg)
{
    *(int *)arg += harness_alloc(64) != NULL;
    pthread_exit(NULL); /* its cache is not given back: meta is used up */
}

static void *cache_thread(void *arg)
{
    take_a_cache(arg);
    return NULL;
}

static void no_memory_for_a_cache_is_no_block(void **state)
{
    (void)state;
    int n_served = 0, n_threads = 0;
    struct tcache *first = tcache_first();
    os_fake_fail(OS_FAKE_MAP, 1, 1000000, -ENOMEM);
    do {
        pthread_t thread;
        pthread_create(&thread, NULL, cache_thread, &n_served);
        pthread_join(thread, NULL);
        n_threads++;
    } while (n_served == n_threads && n_threads < 1000);
    assert_int_equal(n_served, n_threads - 1);
    os_fake_fail(OS_FAKE_MAP, 0, 0, 0);
    os_critical_enter();
    for (struct tcache *tc = tcache_first(); tc != first; tc = tc->next)
        if (tc->is_active)
            tcache_abandon(tc);
    heap_check();
    os_critical_leave();
    void *p = harness_alloc(64);
    assert_non_null(p);
    harness_free(p);
}

/* ---- moving ---- */

/* A large block with something right behind it, so that it cannot grow in place. */
static unsigned char *walled(size_t size_bytes, void **wall)
{
    bool is_zero;
    os_critical_enter();
    unsigned char *p = heap_large_alloc(size_bytes, 64 * MiB, FLAVOR_MALLOC, &is_zero);
    *wall = p + size_bytes;
    assert_true(arena_take_at((uintptr_t)*wall, 1));
    os_critical_leave();
    for (size_t i = 0; i < size_bytes; i += 4096)
        p[i] = (unsigned char)(i / 4096 + 1);
    return p;
}

static void unwall(void *wall)
{
    os_critical_enter();
    arena_give((uintptr_t)wall, 1);
    os_critical_leave();
}

static void a_move_that_fails_is_a_copy(void **state)
{
    (void)state;
    void *wall;
    unsigned char *p = walled(4 * MiB, &wall);
    os_fake_fail(OS_FAKE_MOVE, 1, 1, -ENOMEM);
    os_critical_enter();
    unsigned char *q = heap_large_resize(harness_span(p), 9 * MiB);
    os_critical_leave();
    assert_int_equal(os_fake_count(OS_FAKE_MOVE), 1);
    assert_non_null(q);
    assert_ptr_not_equal(p, q);
    for (size_t i = 0; i < 4 * MiB; i += 4096)
        assert_int_equal(q[i], (unsigned char)(i / 4096 + 1));
    memset(q, 1, 9 * MiB);
    harness_free(q);
    unwall(wall);
    harness_check();
}

static void a_move_that_leaves_a_hole_loses_only_addresses(void **state)
{
    (void)state;
    void *wall;
    unsigned char *p = walled(4 * MiB, &wall);
    size_t used = heap_used_estimate();
    os_fake_fail(OS_FAKE_MOVE, 1, 1, -ENOTRECOVERABLE);
    os_critical_enter();
    assert_null(heap_large_resize(harness_span(p), 9 * MiB));
    os_critical_leave();
    assert_int_equal(heap_used_estimate(), used);
    for (size_t i = 0; i < 4 * MiB; i += 4096)
        assert_int_equal(p[i], (unsigned char)(i / 4096 + 1));
    unwall(wall);
    harness_check();
    os_critical_enter();
    arena_purge(true); /* nobody touches the hole, not even to purge it */
    os_critical_leave();
    struct block many[40];
    for (int i = 0; i < 40; i++) {
        many[i].fill = (unsigned char)(i + 1);
        assert_true(try_alloc(&many[i], MiB, FLAVOR_MALLOC));
        memset(many[i].p, many[i].fill, MiB);
    }
    for (int i = 0; i < 40; i++)
        drop(&many[i]);
    harness_free(p);
    harness_check();
}

static void a_purge_by_hand_is_as_good(void **state)
{
    (void)state;
    os_fake_fail(OS_FAKE_PURGE, 1, 1000000, -EINVAL);
    for (int round = 0; round < 2; round++) {
        bool is_zero;
        os_critical_enter();
        unsigned char *p = heap_large_alloc(MiB, 16, FLAVOR_MALLOC, &is_zero);
        os_critical_leave();
        for (size_t i = 0; i < MiB && is_zero; i++)
            assert_int_equal(p[i], 0);
        memset(p, 1, MiB);
        harness_free(p);
        os_critical_enter();
        assert_true(heap_trim(0) >= MiB);
        os_critical_leave();
    }
    assert_true(os_fake_count(OS_FAKE_PURGE) > 0);
}

static void behind_a_filter_nothing_is_purged(void **state)
{
    (void)state;
    bool is_zero;
    os_critical_enter();
    void *p = heap_large_alloc(MiB, 16, FLAVOR_MALLOC, &is_zero);
    heap_free(p);
    os_fake_set_seccomp(true);
    assert_int_equal(heap_trim(0), 0);
    assert_int_equal(os_fake_count(OS_FAKE_PURGE), 0);
    os_fake_set_seccomp(false);
    assert_true(heap_trim(0) >= MiB);
    os_critical_leave();
}

/* ---- time ---- */

static void purge_everything(void)
{
    static uint64_t later; /* the clock begins at 0 in each test, but the heap remembers */
    harness_retire();
    os_fake_advance_clock(later += 100 * SECOND);
    os_critical_enter();
    heap_trim(0);
    os_critical_leave();
    assert_int_equal(arena_dirty_bytes(), 0);
}

/* Allocating and freeing one small block: what an otherwise idle program may still do. */
static void idle(int n)
{
    for (int i = 0; i < n; i++)
        harness_free(harness_alloc(16));
}

static void what_a_thread_freed_goes_back_while_it_goes_on(void **state)
{
    (void)state;
    purge_everything();
    size_t used = heap_mapped_bytes();
    for (int i = 0; i < N_BLOCKS; i++)
        try_alloc(&blocks[i], 1024, FLAVOR_MALLOC);
    assert_true(heap_mapped_bytes() >= used + 5 * MiB);
    for (int i = 0; i < N_BLOCKS; i++)
        drop(&blocks[i]);
    for (int i = 0; i < 3; i++) {
        idle(10000);
        os_fake_advance_clock(SECOND);
    }
    idle(10000);
    assert_true(heap_mapped_bytes() <= used + 2 * SLICE_SIZE);
    assert_int_equal(arena_dirty_bytes(), 0);
}

static void a_program_of_large_blocks_has_a_clock_too(void **state)
{
    (void)state;
    purge_everything();
    bool is_zero;
    os_critical_enter();
    void *p = heap_large_alloc(50 * MiB, 16, FLAVOR_MALLOC, &is_zero);
    heap_free(p);
    assert_true(arena_dirty_bytes() >= 50 * MiB);
    for (int i = 0; i < 3; i++) {
        os_fake_advance_clock(SECOND);
        heap_free(heap_large_alloc(40000, 16, FLAVOR_MALLOC, &is_zero));
    }
    os_critical_leave();
    assert_true(arena_dirty_bytes() <= MiB);
}

/* The decay that free brings about after so long takes note of it. */
static void free_50_mib(void)
{
    bool is_zero;
    purge_everything();
    heap_free(heap_large_alloc(50 * MiB, 16, FLAVOR_MALLOC, &is_zero));
    assert_true(arena_dirty_bytes() >= 50 * MiB);
}

static void what_will_be_used_again_stays_for_that_time(void **state)
{
    (void)state;
    os_critical_enter();
    free_50_mib();
    os_fake_advance_clock(2 * SECOND / 5);
    heap_decay(os_clock_coarse_ns());
    assert_true(arena_dirty_bytes() <= MiB);
    heap_expect_reuse(10 * SECOND);
    free_50_mib();
    os_fake_advance_clock(2 * SECOND / 5);
    heap_decay(os_clock_coarse_ns());
    assert_true(arena_dirty_bytes() >= 50 * MiB);
    os_fake_advance_clock(SECOND / 5); /* but not for longer than half a second */
    heap_decay(os_clock_coarse_ns());
    assert_true(arena_dirty_bytes() <= MiB);
    heap_expect_reuse(0);
    os_critical_leave();
}

/* Makes spans anew until content has gone back; how many slices that took, at most some. */
static size_t turn_over(size_t most)
{
    size_t n_slices = 0;
    while (n_slices < most && arena_dirty_bytes() > MiB) {
        struct span *s = heap_new_span(0, FLAVOR_MALLOC);
        n_slices += s->n_slices;
        assert_true(span_retire_empty(s));
        heap_release_span(s);
        heap_decay_by_work();
    }
    return n_slices;
}

/* The clock stands still. */
static void what_lies_free_goes_back_once_all_was_turned_over(void **state)
{
    (void)state;
    enum { LEAST = (4 << 20) / SLICE_SIZE };
    os_critical_enter();
    free_50_mib();
    size_t n_used = heap_mapped_bytes() / SLICE_SIZE, n_turn = n_used > LEAST ? n_used : LEAST;
    size_t n = turn_over(8 * n_turn);
    assert_in_range(n, n_turn, 2 * n_turn); /* the free had aged what there was */
    assert_true(arena_dirty_bytes() <= MiB);
    heap_expect_reuse(SECOND);
    free_50_mib();
    assert_true(turn_over(8 * n_turn) >= 8 * n_turn && arena_dirty_bytes() >= 50 * MiB);
    heap_expect_reuse(0);
    os_critical_leave();
}

/* Work and time both say that free memory is to be aged: it is aged once, or what has just become free would go at once. */
static void what_work_has_aged_time_does_not_age_again(void **state)
{
    (void)state;
    bool is_zero;
    os_critical_enter();
    purge_everything();
    os_fake_advance_clock(SECOND);
    heap_decay(os_clock_coarse_ns());
    heap_free(heap_large_alloc(50 * MiB, 16, FLAVOR_MALLOC, &is_zero));
    os_fake_advance_clock(SECOND / 4);
    for (size_t n = 0, n_turn = heap_mapped_bytes() / SLICE_SIZE + (4 << 20) / SLICE_SIZE; n < n_turn;) {
        struct span *s = heap_new_span(0, FLAVOR_MALLOC);
        n += s->n_slices;
        assert_true(span_retire_empty(s));
        heap_release_span(s);
    }
    heap_decay_by_work();
    heap_decay(os_clock_coarse_ns());
    assert_true(arena_dirty_bytes() >= 50 * MiB);
    os_fake_advance_clock(SECOND / 4);
    heap_decay(os_clock_coarse_ns());
    assert_true(arena_dirty_bytes() <= MiB);
    os_critical_leave();
}

static void alloc_and_end(void *arg)
{
    (void)arg;
    for (int i = 0; i < N_BLOCKS; i++)
        try_alloc(&blocks[i], 1024, FLAVOR_MALLOC);
}

static void orphans_that_became_empty_go_back(void **state)
{
    (void)state;
    purge_everything();
    size_t used = heap_mapped_bytes();
    harness_in_thread(alloc_and_end, NULL);
    for (int i = 0; i < N_BLOCKS; i++)
        drop(&blocks[i]);
    for (int i = 0; i < 3; i++) {
        os_fake_advance_clock(SECOND);
        idle(10000);
    }
    assert_true(heap_mapped_bytes() <= used + 2 * SLICE_SIZE);
    harness_check();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_move_that_fails_is_a_copy, reset),
        cmocka_unit_test_setup(a_move_that_leaves_a_hole_loses_only_addresses, reset),
        cmocka_unit_test_setup(a_purge_by_hand_is_as_good, reset),
        cmocka_unit_test_setup(behind_a_filter_nothing_is_purged, reset),
        cmocka_unit_test_setup(what_a_thread_freed_goes_back_while_it_goes_on, reset),
        cmocka_unit_test_setup(a_program_of_large_blocks_has_a_clock_too, reset),
        cmocka_unit_test_setup(what_will_be_used_again_stays_for_that_time, reset),
        cmocka_unit_test_setup(what_lies_free_goes_back_once_all_was_turned_over, reset),
        cmocka_unit_test_setup(what_work_has_aged_time_does_not_age_again, reset),
        cmocka_unit_test_setup(orphans_that_became_empty_go_back, reset),
        cmocka_unit_test_setup(one_refused_mapping_costs_at_most_one_allocation, reset),
        cmocka_unit_test_setup(no_memory_at_all_is_survived_on_what_there_is, reset),
        cmocka_unit_test_setup(no_memory_for_a_cache_is_no_block, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
