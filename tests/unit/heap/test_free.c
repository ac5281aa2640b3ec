/* Every answer that a slow free can give, for each kind of freer: owner, another thread, nobody's span; and what must never
 * be called misuse: whatever the collector took. */
#include "heap_harness.h"
#include "heap/inbox_inl.h"

enum { SIZE = 4096, N = 16 }; /* N blocks are a span */

static void alloc_span(void *arg)
{
    void **blocks = arg;
    for (int i = 0; i < N; i++) {
        blocks[i] = harness_alloc(SIZE);
        memset(blocks[i], i + 1, SIZE);
    }
}

/* One cycle on one span: what is in `live` is marked. */
static uint32_t judge(struct span *s, void **blocks, unsigned live)
{
    uint32_t n_live;
    os_critical_enter();
    heap_settle();
    for (uint32_t i = 0; i < N; i++)
        if ((live >> i & 1) != 0)
            s->words[0].mark |= UINT64_C(1) << harness_idx(blocks[i]);
    uint32_t n_dead = heap_publish_dead(s, &n_live);
    span_check(s);
    os_critical_leave();
    return n_dead;
}

static void sweep(struct span *s)
{
    os_critical_enter();
    span_sweep(s);
    os_critical_leave();
}

struct freeing {
    void *p;
    enum heap_free_result result;
};

static void free_this(void *arg)
{
    struct freeing *f = arg;
    f->result = harness_free_slow(f->p);
}

static enum heap_free_result free_elsewhere(void *p)
{
    struct freeing f = {.p = p};
    harness_in_thread(free_this, &f);
    return f.result;
}

static void free_once(void *p)
{
    harness_free_slow(p);
}

static void free_by_another(void *p)
{
    free_elsewhere(p);
}

static void drain(void)
{
    os_critical_enter();
    if (tcache_self != &tcache_none)
        tcache_drain_inbox(tcache_self);
    central_drain();
    os_critical_leave();
}

static void drain_only(void *p)
{
    (void)p;
    drain();
}

static void tidy(void)
{
    drain();
    harness_retire();
    os_critical_enter();
    central_release_empty();
    for (int i = 0; i < SLICE_DOUBT_CYCLES; i++)
        heap_settle();
    os_critical_leave();
    harness_check();
    assert_int_equal(heap_recount(), 0);
}

static void addresses_that_are_no_block_are_told(void **state)
{
    (void)state;
    int local;
    void *blocks[N];
    assert_int_equal(harness_free_slow(&local), HEAP_FREE_FOREIGN);
    assert_int_equal(harness_free_slow(NULL), HEAP_FREE_FOREIGN);
    alloc_span(blocks);
    assert_int_equal(harness_free_slow((void *)(heap_map.arena_base + heap_map.arena_bytes)), HEAP_FREE_FOREIGN);
    harness_expect_abort(free_once, (char *)blocks[3] + 16, MISUSE_INVALID_FREE);
    harness_expect_abort(free_by_another, (char *)blocks[3] + 1, MISUSE_INVALID_FREE);
    harness_expect_abort(free_once, (void *)(heap_map.arena_base + heap_map.arena_bytes - SLICE_SIZE), MISUSE_INVALID_FREE);
    for (int i = 0; i < N; i++)
        assert_int_equal(harness_free_slow(blocks[i]), HEAP_FREED);
    tidy();
}

static void whoever_frees_twice_is_told(void **state)
{
    (void)state;
    void *blocks[N];
    alloc_span(blocks);
    assert_int_equal(harness_free_slow(blocks[0]), HEAP_FREED);
    harness_expect_abort(free_once, blocks[0], MISUSE_DOUBLE_FREE);
    harness_expect_abort(free_by_another, blocks[0], MISUSE_DOUBLE_FREE);
    assert_int_equal(free_elsewhere(blocks[1]), HEAP_FREED);
    harness_expect_abort(free_by_another, blocks[1], MISUSE_DOUBLE_FREE); /* before it is drained */
    harness_expect_abort(free_once, blocks[1], MISUSE_DOUBLE_FREE);
    drain();
    harness_expect_abort(free_by_another, blocks[1], MISUSE_DOUBLE_FREE);
    harness_expect_abort(free_once, blocks[1], MISUSE_DOUBLE_FREE);
    for (int i = 2; i < N; i++)
        assert_int_equal(harness_free_slow(blocks[i]), HEAP_FREED);
    tidy();
    harness_expect_abort(free_once, blocks[5], MISUSE_DOUBLE_FREE); /* the span is gone: its tomb knows */
    harness_expect_abort(free_by_another, blocks[5], MISUSE_DOUBLE_FREE);
}

/* The owner frees by a plain store what another has freed with a message: found when the message is read. */
static void a_second_free_past_a_message_is_found_by_the_drain(void **state)
{
    (void)state;
    void *blocks[N];
    alloc_span(blocks);
    struct span *s = harness_span(blocks[0]);
    __atomic_fetch_or(&s->remote[0], UINT64_C(1) << harness_idx(blocks[0]), __ATOMIC_SEQ_CST);
    assert_int_equal(harness_free_slow(blocks[0]), HEAP_FREED);
    os_critical_enter();
    inbox_announce(s, atomic_load(&s->flags));
    os_critical_leave();
    harness_expect_abort(drain_only, NULL, MISUSE_DOUBLE_FREE);
    s->remote[0] = 0;
    for (int i = 1; i < N; i++)
        assert_int_equal(harness_free_slow(blocks[i]), HEAP_FREED);
    tidy();
}

/* ---- what the collector took ---- */

static void a_dead_block_may_be_freed_by_anybody_swept_or_not(void **state)
{
    (void)state;
    void *blocks[N];
    alloc_span(blocks);
    struct span *s = harness_span(blocks[0]);
    uint64_t counted = counter_get(COUNTER_TAKEN_FREED);
    assert_int_equal(judge(s, blocks, 0xfff0), 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(harness_state(blocks[i]), HEAP_TAKEN);
    assert_int_equal(free_elsewhere(blocks[0]), HEAP_FREED_SUSPECT); /* not swept: counted when the message is read */
    harness_expect_abort(free_by_another, blocks[0], MISUSE_DOUBLE_FREE);
    sweep(s);
    assert_int_equal(counter_get(COUNTER_TAKEN_FREED), counted + 1);
    assert_int_equal(harness_state(blocks[0]), HEAP_FREE);
    harness_expect_abort(free_once, blocks[0], MISUSE_DOUBLE_FREE);
    assert_int_equal(free_elsewhere(blocks[1]), HEAP_FREED_TAKEN); /* swept */
    assert_int_equal(harness_free_slow(blocks[1]), HEAP_FREED_TAKEN); /* a reader cannot clear the bit */
    harness_expect_abort(free_once, blocks[1], MISUSE_DOUBLE_FREE);
    assert_int_equal(harness_free_slow(blocks[2]), HEAP_FREED_TAKEN);
    for (int i = 4; i < N; i++)
        assert_int_equal(harness_free_slow(blocks[i]), HEAP_FREED);
    tidy();
}

static void the_owner_sweeps_before_it_frees(void **state)
{
    (void)state;
    void *blocks[N];
    alloc_span(blocks);
    struct span *s = harness_span(blocks[0]);
    assert_int_equal(judge(s, blocks, 0xfffe), 1);
    assert_int_equal(harness_free_slow(blocks[0]), HEAP_FREED_TAKEN);
    assert_int_equal(judge(s, blocks, 0xfffc), 1);
    assert_int_equal(harness_free_slow(blocks[5]), HEAP_FREED);
    assert_int_equal(harness_state(blocks[1]), HEAP_TAKEN);
    assert_int_equal(span_flags(s) & SPAN_UNSWEPT, 0);
    for (int i = 2; i < N; i++)
        if (i != 5)
            assert_int_equal(harness_free_slow(blocks[i]), HEAP_FREED);
    tidy();
}

/* A message for a dead block that comes before the sweep must not free the block that gets the slot after it. */
static void a_message_for_a_dead_block_does_not_hit_its_successor(void **state)
{
    (void)state;
    void *blocks[N], *fresh[N];
    alloc_span(blocks);
    struct span *s = harness_span(blocks[0]);
    assert_int_equal(judge(s, blocks, 0), N);
    __atomic_fetch_or(&s->remote[0], UINT64_C(1) << harness_idx(blocks[0]), __ATOMIC_SEQ_CST);
    alloc_span(fresh);
    assert_ptr_equal(harness_span(fresh[0]), s);
    os_critical_enter();
    inbox_announce(s, atomic_load(&s->flags));
    os_critical_leave();
    drain();
    for (int i = 0; i < N; i++) {
        assert_int_equal(harness_state(fresh[i]), HEAP_LIVE);
        assert_int_equal(harness_free_slow(fresh[i]), HEAP_FREED);
    }
    tidy();
}

static void a_slot_handed_out_again_is_freed_like_any_other(void **state)
{
    (void)state;
    void *blocks[N], *fresh[N];
    alloc_span(blocks);
    struct span *s = harness_span(blocks[0]);
    assert_int_equal(judge(s, blocks, 0xff00), 8);
    for (int i = 0; i < 8; i++)
        fresh[i] = harness_alloc(SIZE);
    assert_ptr_equal(harness_span(fresh[0]), s);
    assert_int_equal(free_elsewhere(fresh[0]), HEAP_FREED);
    harness_expect_abort(free_once, fresh[0], MISUSE_DOUBLE_FREE);
    assert_int_equal(harness_free_slow(fresh[1]), HEAP_FREED);
    harness_expect_abort(free_once, fresh[1], MISUSE_DOUBLE_FREE);
    harness_expect_abort(free_by_another, fresh[1], MISUSE_DOUBLE_FREE);
    for (int i = 2; i < N; i++)
        assert_int_equal(harness_free_slow(i < 8 ? fresh[i] : blocks[i]), HEAP_FREED);
    tidy();
}

static void a_span_of_taken_blocks_leaves_a_tomb_that_never_accuses(void **state)
{
    (void)state;
    void *blocks[N];
    alloc_span(blocks);
    struct span *s = harness_span(blocks[0]);
    assert_int_equal(harness_free_slow(blocks[0]), HEAP_FREED);
    assert_int_equal(judge(s, blocks, 0), N - 1);
    os_critical_enter();
    assert_true(heap_release_dead_span(s));
    os_critical_leave();
    for (int i = 0; i < N; i++) {
        assert_int_equal(harness_state(blocks[i]), HEAP_NOT_A_BLOCK);
        assert_int_equal(harness_free_slow(blocks[i]), HEAP_FREED_TAKEN);
        assert_int_equal(free_elsewhere(blocks[i]), HEAP_FREED_TAKEN);
    }
    assert_int_equal(harness_free_slow((char *)blocks[1] + 8), HEAP_FREED_TAKEN);
    tidy();
    harness_expect_abort(free_once, (char *)blocks[1] + 8, MISUSE_INVALID_FREE);
}

/* The memory of taken blocks is in use again, cut otherwise: late frees hit anything, and are still our doing. */
static void late_frees_in_memory_that_is_used_again_have_the_benefit_of_the_doubt(void **state)
{
    (void)state;
    void *blocks[N], *fresh, *other;
    alloc_span(blocks);
    struct span *s = harness_span(blocks[0]);
    assert_int_equal(judge(s, blocks, 0), N);
    os_critical_enter();
    assert_true(heap_release_dead_span(s));
    os_critical_leave();
    fresh = harness_alloc(100);
    other = harness_alloc(100);
    assert_ptr_equal(slice_of((uintptr_t)fresh), slice_of((uintptr_t)blocks[0]));
    assert_int_equal(harness_free_slow((char *)blocks[1]), HEAP_FREED_TAKEN);
    assert_int_equal(free_elsewhere((char *)blocks[2]), HEAP_FREED_TAKEN);
    assert_int_equal(harness_free_slow(other), HEAP_FREED);
    assert_int_equal(harness_free_slow(other), HEAP_FREED_TAKEN);
    assert_int_equal(free_elsewhere(other), HEAP_FREED_TAKEN);
    assert_int_equal(harness_state(fresh), HEAP_LIVE);
    os_critical_enter();
    for (int i = 0; i < SLICE_DOUBT_CYCLES; i++)
        heap_settle();
    os_critical_leave();
    harness_expect_abort(free_once, other, MISUSE_DOUBLE_FREE);
    harness_expect_abort(free_by_another, blocks[1], MISUSE_INVALID_FREE);
    assert_int_equal(harness_free_slow(fresh), HEAP_FREED);
    tidy();
}

/* The owner's tick comes with the very free of the last, taken block of a span: the span must not end under the free. */
static void a_tick_does_not_end_the_span_that_is_freed_into(void **state)
{
    (void)state;
    void *blocks[N], *other;
    alloc_span(blocks);
    other = harness_alloc(SIZE); /* so that the span is not the current one */
    struct span *s = harness_span(blocks[0]);
    for (int i = 1; i < N; i++)
        assert_int_equal(harness_free_slow(blocks[i]), HEAP_FREED);
    assert_int_equal(judge(s, blocks, 0), 1);
    tcache_self->ticks = -1;
    tcache_self->next_decay_ns = 0;
    assert_int_equal(harness_free_slow(blocks[0]), HEAP_FREED_TAKEN);
    assert_int_equal(slice_of((uintptr_t)blocks[0])->span, 0);
    assert_int_equal(harness_free_slow(other), HEAP_FREED);
    tidy();
}

static void large_blocks_are_freed_by_anybody_once(void **state)
{
    (void)state;
    char *p = harness_alloc(100000), *q = harness_alloc(200000);
    harness_expect_abort(free_once, p + 4096, MISUSE_INVALID_FREE);
    assert_int_equal(free_elsewhere(p), HEAP_FREED);
    harness_expect_abort(free_once, p, MISUSE_DOUBLE_FREE);
    harness_expect_abort(free_once, p + SLICE_SIZE, MISUSE_INVALID_FREE);
    uint32_t n_live;
    os_critical_enter();
    assert_int_equal(heap_publish_dead(harness_span(q), &n_live), 1);
    os_critical_leave();
    assert_int_equal(harness_state(q), HEAP_TAKEN);
    assert_int_equal(harness_free_slow(q), HEAP_FREED_TAKEN);
    os_critical_enter();
    assert_true(heap_release_dead_span(harness_span(q)));
    os_critical_leave();
    assert_int_equal(harness_free_slow(q), HEAP_FREED_TAKEN);
    tidy();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_that_are_no_block_are_told),
        cmocka_unit_test(whoever_frees_twice_is_told),
        cmocka_unit_test(a_second_free_past_a_message_is_found_by_the_drain),
        cmocka_unit_test(a_dead_block_may_be_freed_by_anybody_swept_or_not),
        cmocka_unit_test(the_owner_sweeps_before_it_frees),
        cmocka_unit_test(a_message_for_a_dead_block_does_not_hit_its_successor),
        cmocka_unit_test(a_slot_handed_out_again_is_freed_like_any_other),
        cmocka_unit_test(a_span_of_taken_blocks_leaves_a_tomb_that_never_accuses),
        cmocka_unit_test(late_frees_in_memory_that_is_used_again_have_the_benefit_of_the_doubt),
        cmocka_unit_test(a_tick_does_not_end_the_span_that_is_freed_into),
        cmocka_unit_test(large_blocks_are_freed_by_anybody_once),
    };
    return cmocka_run_group_tests(tests, harness_setup, NULL);
}
