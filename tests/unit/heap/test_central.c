/* Orphans and messages: adoption, forwarding, the generation that protects a recycled descriptor, and all of it at once. */
#include "heap_harness.h"
#include "heap/inbox_inl.h"

enum { SIZE = 8192, N_BLOCKS = 8, N_SHARED = 64, N_STEPS = 40000, N_THREADS = 5, N_ROUNDS = 3, N_MARKS = 16 };

static unsigned class_of_size(void)
{
    return sizeclass_of(SIZE);
}

/* ---- orphans ---- */

static void fill_span(void *arg)
{
    void **blocks = arg;
    for (int i = 0; i < N_BLOCKS; i++)
        blocks[i] = harness_alloc(SIZE);
}

static struct span *take(void)
{
    os_critical_enter();
    struct span *s = central_take(FLAVOR_MALLOC, class_of_size(), tcache_get());
    os_critical_leave();
    return s;
}

static void give(struct span *s)
{
    os_critical_enter();
    central_give(s);
    os_critical_leave();
}

static void release_empty(void)
{
    os_critical_enter();
    if (tcache_self != &tcache_none)
        tcache_release_empty(tcache_self);
    central_release_empty();
    os_critical_leave();
}

static void a_full_orphan_is_offered_once_somebody_frees_in_it(void **state)
{
    (void)state;
    void *blocks[N_BLOCKS];
    harness_in_thread(fill_span, blocks);
    struct span *s = harness_span(blocks[0]);
    assert_null(atomic_load(&s->owner));
    assert_ptr_equal(atomic_load(&s->inbox), central_inbox(FLAVOR_MALLOC, class_of_size()));
    assert_null(take());
    harness_free(blocks[0]);
    assert_ptr_equal(take(), s);
    assert_ptr_equal(atomic_load(&s->owner), tcache_self);
    assert_ptr_equal(atomic_load(&s->inbox), &tcache_self->inbox);
    assert_true(span_is_free(s, harness_idx(blocks[0])));
    give(s);
    harness_check();
    harness_free_n(blocks + 1, N_BLOCKS - 1);
    release_empty();
    assert_int_equal(heap_recount(), 0);
}

static void empty_orphans_go_back_to_the_arena(void **state)
{
    (void)state;
    void *blocks[N_BLOCKS];
    size_t used = heap_mapped_bytes();
    harness_in_thread(fill_span, blocks);
    assert_true(heap_mapped_bytes() > used);
    harness_free_n(blocks, N_BLOCKS);
    os_critical_enter();
    assert_int_equal(central_release_empty(), 1);
    assert_int_equal(central_release_empty(), 0);
    os_critical_leave();
    assert_int_equal(heap_mapped_bytes(), used);
    harness_check();
}

/* ---- messages ---- */

/* The first half of a remote free: the bit is set, nobody was told. */
static uint64_t set_remote_bit(struct span *s, uint32_t idx)
{
    uint64_t flags = atomic_load(&s->flags);
    __atomic_fetch_or(&s->remote[idx >> 6], UINT64_C(1) << (idx & 63), __ATOMIC_SEQ_CST);
    return flags;
}

static void announce(struct span *s, uint64_t flags_before)
{
    os_critical_enter();
    inbox_announce(s, flags_before);
    os_critical_leave();
}

static void free_one(void *p)
{
    harness_free(p);
}

/* Two threads free the last two blocks; the message of one carries both bits; the owner releases the span before the other
 * goes on. */
static void a_late_freer_leaves_a_retired_descriptor_alone(void **state)
{
    (void)state;
    void *blocks[N_BLOCKS];
    fill_span(blocks);
    struct span *s = harness_span(blocks[0]);
    harness_free_n(blocks + 2, N_BLOCKS - 2);
    uint64_t late = set_remote_bit(s, harness_idx(blocks[0]));
    harness_in_thread(free_one, blocks[1]);
    os_critical_enter();
    tcache_drain_inbox(tcache_self);
    os_critical_leave();
    harness_retire();
    assert_int_equal(slice_of((uintptr_t)blocks[0])->span, 0);
    announce(s, late);
    assert_int_equal(span_flags(s) & SPAN_REMOTE, 0);
    fill_span(blocks);
    assert_ptr_equal(harness_span(blocks[0]), s); /* the descriptor serves again, and knows nothing of the late one */
    announce(s, late);
    assert_int_equal(span_flags(s) & SPAN_REMOTE, 0);
    assert_null(atomic_load(&tcache_self->inbox.head));
    harness_free_n(blocks, N_BLOCKS);
    release_empty();
    harness_check();
}

static void a_span_is_not_retired_while_a_message_is_on_its_way(void **state)
{
    (void)state;
    void *blocks[N_BLOCKS];
    fill_span(blocks);
    struct span *s = harness_span(blocks[0]);
    harness_free_n(blocks + 1, N_BLOCKS - 1);
    uint64_t flags = set_remote_bit(s, harness_idx(blocks[0]));
    os_critical_enter();
    span_drain(s); /* as somebody else's message would */
    announce(s, flags);
    assert_true(span_is_empty(s));
    assert_false(span_retire_empty(s));
    tcache_drain_inbox(tcache_self);
    os_critical_leave();
    release_empty();
    harness_check();
    assert_int_equal(heap_recount(), 0);
}

static void a_message_follows_a_span_that_has_moved(void **state)
{
    (void)state;
    void *blocks[N_BLOCKS];
    harness_in_thread(fill_span, blocks);
    struct span *s = harness_span(blocks[0]);
    harness_free(blocks[0]);
    assert_ptr_equal(atomic_load(&central_inbox(FLAVOR_MALLOC, class_of_size())->head), s);
    os_critical_enter();
    span_own(s, tcache_get(), &tcache_self->inbox); /* adopted while the message lay with central */
    central_drain();
    assert_null(atomic_load(&central_inbox(FLAVOR_MALLOC, class_of_size())->head));
    assert_ptr_equal(atomic_load(&tcache_self->inbox.head), s);
    assert_false(span_is_free(s, harness_idx(blocks[0])));
    tcache_drain_inbox(tcache_self);
    assert_true(span_is_free(s, harness_idx(blocks[0])));
    os_critical_leave();
    give(s);
    harness_free_n(blocks + 1, N_BLOCKS - 1);
    release_empty();
    harness_check();
}

static void a_closed_inbox_takes_nothing_and_empties_once(void **state)
{
    (void)state;
    struct inbox box = {.head = NULL};
    void *blocks[N_BLOCKS];
    fill_span(blocks);
    struct span *s = harness_span(blocks[0]);
    os_critical_enter();
    atomic_store(&s->inbox, &box);
    inbox_announce(s, atomic_load(&s->flags));
    inbox_announce(s, atomic_load(&s->flags));
    assert_null(s->fast_owner);
    assert_ptr_equal(inbox_take_all(&box, true), s);
    assert_null(atomic_load(&s->inbox_next));
    assert_ptr_equal(atomic_load(&box.head), INBOX_CLOSED);
    assert_null(inbox_take_all(&box, true));
    span_own(s, tcache_self, &tcache_self->inbox);
    span_flag_clear(s, SPAN_REMOTE);
    assert_ptr_equal(s->fast_owner, tcache_self);
    os_critical_leave();
    harness_free_n(blocks, N_BLOCKS);
    release_empty();
}

/* ---- all at once: few spans, many freers, owners that end, spans that end ---- */

static uint64_t *_Atomic shared[N_SHARED];

static void drop(uint64_t *p)
{
    for (int i = 1; i < N_MARKS; i++)
        assert_int_equal(p[i * 60], p[0]);
    p[0] = 0;
    harness_free(p);
}

static uint64_t *make(uint64_t value)
{
    uint64_t *p = harness_alloc(SIZE);
    assert_non_null(p);
    for (int i = 0; i < N_MARKS; i++)
        p[i * 60] = value;
    return p;
}

static void *churn(void *arg)
{
    uint64_t rng = (uint64_t)(uintptr_t)arg;
    for (int i = 0; i < N_STEPS; i++) {
        uint64_t *p = unit_below(&rng, 2) == 0 ? make(test_random(&rng) | 1) : NULL;
        p = atomic_exchange(&shared[unit_below(&rng, N_SHARED)], p);
        if (p != NULL)
            drop(p);
        uint64_t dice = unit_below(&rng, 40);
        if (dice == 0)
            harness_retire();
        else if (dice < 4)
            release_empty();
    }
    harness_retire();
    return NULL;
}

static void spans_may_change_hands_and_end_at_any_time(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    for (int round = 0; round < N_ROUNDS; round++) {
        pthread_t threads[N_THREADS];
        for (int t = 0; t < N_THREADS; t++)
            pthread_create(&threads[t], NULL, churn, (void *)(uintptr_t)(seed + (uint64_t)(round * 64 + t)));
        for (int t = 0; t < N_THREADS; t++)
            pthread_join(threads[t], NULL);
        harness_check();
    }
    for (int i = 0; i < N_SHARED; i++)
        if (shared[i] != NULL)
            drop(shared[i]);
    release_empty();
    assert_int_equal(heap_recount(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_orphan_is_offered_once_somebody_frees_in_it),
        cmocka_unit_test(empty_orphans_go_back_to_the_arena),
        cmocka_unit_test(a_late_freer_leaves_a_retired_descriptor_alone),
        cmocka_unit_test(a_span_is_not_retired_while_a_message_is_on_its_way),
        cmocka_unit_test(a_message_follows_a_span_that_has_moved),
        cmocka_unit_test(a_closed_inbox_takes_nothing_and_empties_once),
        cmocka_unit_test(spans_may_change_hands_and_end_at_any_time),
    };
    return cmocka_run_group_tests(tests, harness_setup, NULL);
}
