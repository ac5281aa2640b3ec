/* What a sender of messages remembers about another thread's blocks, and when it must not trust it any more: whatever may make a block
 * free without a message ends the quiet period, so that a second free is told as if nothing were remembered. */
#include "heap_harness.h"
#include "heap/inbox_inl.h"

enum { SIZE = 4096, N = 16 }; /* N blocks are a span */

/* The sender is another thread's cache, whose free this thread plays. */
static struct inbox_seen seen[INBOX_SEEN_N];
static struct tcache sender = {.seen = seen};

static bool is_seen(const void *p)
{
    return inbox_is_seen(harness_span(p), harness_idx(p), &sender);
}

/* As the fast path of free. false: the slow one has to look. */
static bool send_message(const void *p)
{
    struct span *s = harness_span(p);
    uint32_t idx = harness_idx(p);
    uint64_t flags_before = atomic_load(&s->flags), period = span_quiet_period(s);
    if (!inbox_may_write(s, &sender))
        return false;
    if (!is_seen(p) && !((period & 1) != 0 ? inbox_look(s, idx, period, inbox_seen_of(&sender, s)) : !span_is_free(s, idx)))
        return false;
    return inbox_is_still(slice_of((uintptr_t)p), s) && inbox_write(s, idx, flags_before);
}

/* A span of this thread's in a quiet period, of which the sender has seen that all blocks are handed out. blocks[0] was sent, taken, and
 * handed out again. */
static struct span *begin(void **blocks)
{
    memset(seen, 0, sizeof seen);
    harness_alloc_n(blocks, N, SIZE);
    struct span *s = harness_span(blocks[0]);
    assert_ptr_equal(harness_span(blocks[N - 1]), s);
    assert_int_equal(span_quiet_period(s) & 1, 0);
    assert_true(send_message(blocks[0]));
    assert_false(is_seen(blocks[1])); /* the owner may free it unseen */
    assert_ptr_equal(harness_alloc(SIZE), blocks[0]);
    assert_int_equal(span_quiet_period(s) & 1, 1);
    assert_true(send_message(blocks[1]));
    for (int i = 0; i < N; i++)
        assert_true(is_seen(blocks[i]));
    return s;
}

static void end(void **blocks, int first)
{
    harness_free_n(blocks + first, N - first);
    harness_start_afresh();
    assert_int_equal(heap_recount(), 0);
}

static void a_second_message_is_told_by_its_bit(void **state)
{
    (void)state;
    void *blocks[N];
    begin(blocks);
    assert_true(is_seen(blocks[1]));
    assert_false(send_message(blocks[1]));
    harness_free(blocks[0]);
    end(blocks, 2);
}

static void what_the_owner_takes_is_seen_no_longer(void **state)
{
    (void)state;
    void *blocks[N];
    struct span *s = begin(blocks);
    os_critical_enter();
    tcache_drain_inbox(tcache_self);
    os_critical_leave();
    assert_int_equal(span_quiet_period(s) & 1, 0);
    for (int i = 0; i < N; i++)
        assert_false(is_seen(blocks[i]));
    assert_false(send_message(blocks[1]));
    harness_free(blocks[0]);
    end(blocks, 2);
}

/* Taken by a refill, which leaves the span announced: the next period is quiet, too, and another one. */
static void each_quiet_period_has_its_own_number(void **state)
{
    (void)state;
    void *blocks[N];
    struct span *s = begin(blocks);
    uint64_t period = span_quiet_period(s);
    assert_true(send_message(blocks[2]));
    assert_ptr_equal(harness_alloc(SIZE), blocks[1]);
    assert_int_equal(span_quiet_period(s) & 1, 1);
    assert_true(span_quiet_period(s) > period);
    assert_true(span_is_free(s, harness_idx(blocks[2])));
    assert_false(is_seen(blocks[2]));
    assert_false(send_message(blocks[2]));
    assert_true(send_message(blocks[3]));
    assert_true(is_seen(blocks[1]));
    assert_false(is_seen(blocks[2]));
    harness_free(blocks[0]);
    harness_free(blocks[1]);
    end(blocks, 4);
}

static void a_free_of_the_owners_ends_it(void **state)
{
    (void)state;
    void *blocks[N];
    struct span *s = begin(blocks);
    assert_null(s->fast_owner);
    harness_free(blocks[2]);
    assert_false(is_seen(blocks[2]));
    assert_false(send_message(blocks[2]));
    harness_free(blocks[0]);
    end(blocks, 3);
}

/* The sender has set SPAN_REMOTE, and the owner finds its inbox empty. */
static void a_free_of_the_owners_ends_it_before_the_span_is_in_the_inbox(void **state)
{
    (void)state;
    void *blocks[N];
    struct span *s = begin(blocks);
    os_critical_enter();
    assert_ptr_equal(inbox_take_all(&tcache_self->inbox, false), s);
    os_critical_leave();
    harness_free(blocks[2]);
    assert_int_not_equal(span_flags(s) & SPAN_REMOTE, 0);
    assert_false(is_seen(blocks[2]));
    assert_false(send_message(blocks[2]));
    inbox_push_wherever(s);
    harness_free(blocks[0]);
    end(blocks, 3);
}

/* The sender has set SPAN_REMOTE, and is about to set fast_owner. */
static void no_free_of_the_owners_is_fast_while_it_is_quiet(void **state)
{
    (void)state;
    void *blocks[N];
    memset(seen, 0, sizeof seen);
    harness_alloc_n(blocks, N, SIZE);
    struct span *s = harness_span(blocks[0]);
    harness_free(blocks[0]);
    assert_ptr_equal(harness_alloc(SIZE), blocks[0]);
    assert_ptr_equal(s->fast_owner, tcache_self);
    __atomic_fetch_or(&s->remote[0], UINT64_C(1) << harness_idx(blocks[0]), __ATOMIC_SEQ_CST);
    atomic_fetch_or(&s->flags, SPAN_REMOTE);
    os_critical_enter();
    assert_true(tcache_refill(tcache_self, FLAVOR_MALLOC, s->class_no));
    os_critical_leave();
    assert_int_equal(span_quiet_period(s) & 1, 1);
    assert_null(s->fast_owner);
    inbox_push_wherever(s);
    end(blocks, 1);
}

static void sweeping_ends_it(void **state)
{
    (void)state;
    void *blocks[N];
    struct span *s = begin(blocks);
    uint32_t n_live;
    os_critical_enter();
    heap_settle();
    assert_false(is_seen(blocks[2]));
    assert_int_equal(heap_publish_dead(s, &n_live), N - 1);
    assert_false(inbox_may_write(s, &sender));
    span_sweep(s);
    os_critical_leave();
    assert_int_equal(span_quiet_period(s) & 1, 0);
    assert_false(send_message(blocks[2]));
    end(blocks, N);
}

/* The descriptor of a span that has ended is used again, and is no span of which anything is known. */
static void it_does_not_come_again_with_the_descriptor(void **state)
{
    (void)state;
    void *blocks[N];
    struct span *s = begin(blocks);
    uint64_t period = span_quiet_period(s);
    harness_free(blocks[0]);
    end(blocks, 2);
    harness_alloc_n(blocks, N, SIZE);
    assert_ptr_equal(harness_span(blocks[0]), s);
    assert_true(span_quiet_period(s) > period);
    assert_false(is_seen(blocks[0]));
    end(blocks, 0);
}

/* Of another 64 blocks of the span nothing is known, though their period is the same. */
static void each_word_is_looked_at(void **state)
{
    (void)state;
    enum { SMALL = 256, N_SMALL = SLICE_SIZE / SMALL };
    static void *blocks[N_SMALL];
    memset(seen, 0, sizeof seen);
    harness_alloc_n(blocks, N_SMALL, SMALL);
    struct span *s = harness_span(blocks[0]);
    assert_true(s->n_words > 1);
    assert_true(send_message(blocks[0]));
    assert_ptr_equal(harness_alloc(SMALL), blocks[0]);
    assert_true(send_message(blocks[1]));
    assert_true(is_seen(blocks[2]));
    assert_false(is_seen(blocks[64 + 2]));
    assert_true(send_message(blocks[64 + 1]));
    assert_false(is_seen(blocks[2]));
    assert_true(is_seen(blocks[64 + 2]));
    for (int i = 2; i < N_SMALL; i++)
        if (i != 64 + 1)
            harness_free(blocks[i]);
    harness_free(blocks[0]);
    end(NULL, N);
}

static void nothing_is_remembered_in_common(void **state)
{
    (void)state;
    static const struct inbox_seen zero[INBOX_SEEN_N];
    void *blocks[N];
    begin(blocks);
    assert_ptr_equal(tcache_none.seen, inbox_seen_nothing);
    assert_false(inbox_is_seen(harness_span(blocks[2]), harness_idx(blocks[2]), &tcache_none));
    os_critical_enter();
    inbox_begin_to_see(tcache_self);
    struct inbox_seen *mine = tcache_self->seen;
    inbox_begin_to_see(tcache_self);
    os_critical_leave();
    assert_ptr_not_equal(mine, inbox_seen_nothing);
    assert_ptr_equal(mine, tcache_self->seen);
    assert_memory_equal(mine, zero, sizeof zero);
    assert_memory_equal(inbox_seen_nothing, zero, sizeof zero);
    harness_free(blocks[0]);
    end(blocks, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_message_is_told_by_its_bit),
        cmocka_unit_test(what_the_owner_takes_is_seen_no_longer),
        cmocka_unit_test(each_quiet_period_has_its_own_number),
        cmocka_unit_test(a_free_of_the_owners_ends_it),
        cmocka_unit_test(a_free_of_the_owners_ends_it_before_the_span_is_in_the_inbox),
        cmocka_unit_test(no_free_of_the_owners_is_fast_while_it_is_quiet),
        cmocka_unit_test(sweeping_ends_it),
        cmocka_unit_test(it_does_not_come_again_with_the_descriptor),
        cmocka_unit_test(each_word_is_looked_at),
        cmocka_unit_test(nothing_is_remembered_in_common),
    };
    return cmocka_run_group_tests(tests, harness_setup, NULL);
}
