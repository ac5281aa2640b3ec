/* Caches: windows walk the words of a span, full spans come back by their first free, an ended thread leaves nothing. */
#include "heap_harness.h"

enum { SIZE = 64, N_PER_SPAN = SLICE_SIZE / SIZE, N_PER_WORD = 64 };

static unsigned class_of_size(void)
{
    return sizeclass_of(SIZE);
}

static struct tcache_bin *bin(void)
{
    return &tcache_self->malloc_set.bins[class_of_size()];
}

static void the_cache_of_nobody_is_empty_and_stays_so(void **state)
{
    (void)state;
    harness_start_afresh();
    assert_ptr_equal(tcache_self, &tcache_none);
    for (unsigned c = 0; c < SIZECLASS_N_SMALL; c++)
        assert_int_equal(*tcache_none.malloc_set.bins[c].word, 0);
    void *p = harness_alloc(SIZE);
    assert_ptr_not_equal(tcache_self, &tcache_none);
    assert_ptr_equal(tcache_none.malloc_set.bins[class_of_size()].word, &tcache_no_word);
    harness_free(p);
}

/* Until a span is full nothing is written to a thread's own lists, and nothing is read there. */
static void lists_begin_with_the_first_full_span(void **state)
{
    (void)state;
    static const struct tcache_lists nothing[SIZECLASS_N];
    static void *blocks[N_PER_SPAN + 1];
    harness_alloc_n(blocks, N_PER_SPAN, SIZE);
    const struct tcache_set *set = &tcache_self->malloc_set;
    assert_ptr_equal(set->lists, tcache_no_lists);
    os_critical_enter();
    tcache_release_empty(tcache_self);
    os_critical_leave();
    assert_memory_equal(set->own_lists, nothing, sizeof nothing);
    harness_alloc_n(blocks + N_PER_SPAN, 1, SIZE);
    assert_ptr_equal(set->lists, set->own_lists);
    harness_check();
    harness_free_n(blocks, N_PER_SPAN + 1);
    assert_memory_equal(tcache_no_lists, nothing, sizeof nothing);
}

static void windows_walk_a_span_word_by_word(void **state)
{
    (void)state;
    static void *blocks[N_PER_SPAN + 1];
    harness_start_afresh();
    harness_alloc_n(blocks, 1, SIZE);
    struct span *s = harness_span(blocks[0]);
    assert_int_equal(s->n_blocks, N_PER_SPAN);
    for (int i = 1; i < N_PER_SPAN; i++) {
        harness_alloc_n(blocks + i, 1, SIZE);
        assert_int_equal((uintptr_t)blocks[i], s->start + (uintptr_t)i * SIZE);
        assert_ptr_equal(bin()->word, &s->words[i / N_PER_WORD].free);
    }
    assert_int_equal(span_free_count(s), 0);
    harness_alloc_n(blocks + N_PER_SPAN, 1, SIZE);
    assert_ptr_not_equal(harness_span(blocks[N_PER_SPAN]), s);
    assert_int_equal(s->list_no, LIST_FULL);
    assert_null(s->fast_owner);
    harness_check();
    harness_free_n(blocks, N_PER_SPAN + 1);
    harness_check();
}

typedef bool (*step_fn)(struct tcache *tc, unsigned flavor, unsigned class_no);
static const step_fn both_steps[] = {tcache_step, harness_step_unwatched};

static bool step_by(step_fn fn)
{
    os_critical_enter();
    bool has_stepped = fn(tcache_self, FLAVOR_MALLOC, class_of_size());
    os_critical_leave();
    harness_check();
    return has_stepped;
}

/* On to the next word of the same span and around its end, past words without a free slot; never away from the span. */
static void look_at_a_step(step_fn step)
{
    static void *blocks[N_PER_SPAN];
    enum { N_WORDS = N_PER_SPAN / N_PER_WORD };
    harness_start_afresh();
    harness_alloc_n(blocks, N_PER_SPAN, SIZE);
    struct span *s = harness_span(blocks[0]);
    assert_false(step_by(step));
    assert_ptr_equal(bin()->word, &s->words[N_WORDS - 1].free);
    harness_free(blocks[3 * N_PER_WORD + 5]);
    tcache_self->n_refills = 0;
    tcache_self->used_delta_bytes = 0;
    assert_true(step_by(step));
    assert_int_equal(tcache_self->n_refills, 1);
    assert_int_equal(tcache_self->used_delta_bytes, SIZE);
    assert_ptr_equal(bin()->word, &s->words[3].free);
    assert_int_equal(bin()->base, (uintptr_t)blocks[3 * N_PER_WORD]);
    assert_int_equal(s->cursor, 3);
    assert_ptr_equal(harness_alloc(SIZE), blocks[3 * N_PER_WORD + 5]);
    harness_free_n(blocks, N_PER_SPAN);
}

static void a_step_stays_in_the_span(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(both_steps); i++)
        look_at_a_step(both_steps[i]);
}

/* A span that wants to be looked at is for tcache_refill. */
static void look_at_a_flag(step_fn step)
{
    void *blocks[N_PER_WORD];
    harness_start_afresh();
    harness_alloc_n(blocks, N_PER_WORD, SIZE);
    struct span *s = harness_span(blocks[0]);
    span_flag_set(s, SPAN_SPECIAL);
    assert_false(step_by(step));
    assert_ptr_equal(bin()->word, &s->words[0].free);
    os_critical_enter();
    span_flag_clear(s, SPAN_SPECIAL);
    os_critical_leave();
    tcache_self->n_refills = TCACHE_TICK_REFILLS - 1; /* a tick is due */
    assert_false(step_by(step));
    tcache_self->n_refills = 0;
    assert_true(step_by(step));
    assert_ptr_equal(bin()->word, &s->words[1].free);
    harness_free_n(blocks, N_PER_WORD);
}

static void no_step_passes_by_a_flag_or_a_tick(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(both_steps); i++)
        look_at_a_flag(both_steps[i]);
}

/* What the cache's share of the estimate has no room for, and what has to be sampled, is not malloc's fast path's. */
static void a_step_that_must_be_told_of_is_not_taken_unwatched(void **state)
{
    (void)state;
    void *blocks[N_PER_WORD];
    harness_start_afresh();
    harness_alloc_n(blocks, N_PER_WORD, SIZE);
    tcache_self->n_refills = 0;
    tcache_self->used_delta_bytes = TCACHE_ACCOUNT_BYTES - N_PER_WORD * SIZE;
    assert_false(step_by(harness_step_unwatched));
    assert_int_equal(tcache_self->used_delta_bytes, TCACHE_ACCOUNT_BYTES - N_PER_WORD * SIZE);
    tcache_self->used_delta_bytes = 0;
    sample_rate_bytes = 1 << 20;
    assert_false(step_by(harness_step_unwatched));
    sample_rate_bytes = 0;
    assert_true(step_by(harness_step_unwatched));
    harness_free_n(blocks, N_PER_WORD);
}

static void the_first_free_in_a_full_span_makes_it_available(void **state)
{
    (void)state;
    static void *blocks[N_PER_SPAN + 1];
    harness_start_afresh();
    harness_alloc_n(blocks, N_PER_SPAN + 1, SIZE);
    struct span *s = harness_span(blocks[0]);
    harness_free(blocks[100]);
    assert_int_equal(s->list_no, LIST_AVAILABLE);
    assert_ptr_equal(s->fast_owner, tcache_self);
    harness_check();
    static void *rest[N_PER_SPAN];
    harness_alloc_n(rest, N_PER_SPAN - 1, SIZE); /* what is left of the second span */
    assert_ptr_equal(harness_alloc(SIZE), blocks[100]);
    harness_free_n(rest, N_PER_SPAN - 1);
    harness_free_n(blocks, N_PER_SPAN + 1);
}

static void slots_freed_in_the_window_are_handed_out_at_once(void **state)
{
    (void)state;
    void *blocks[10];
    harness_start_afresh();
    harness_alloc_n(blocks, 10, SIZE);
    harness_free(blocks[7]);
    harness_free(blocks[3]);
    assert_ptr_equal(harness_alloc(SIZE), blocks[3]);
    assert_ptr_equal(harness_alloc(SIZE), blocks[7]);
    harness_free_n(blocks, 10);
}

static void each_flavor_has_spans_of_its_own(void **state)
{
    (void)state;
    void *blocks[FLAVOR_GC_TINY]; /* whose blocks are not freed alone */
    harness_start_afresh();
    for (unsigned f = 0; f < FLAVOR_GC_TINY; f++) {
        os_critical_enter();
        blocks[f] = harness_alloc_class(f, class_of_size());
        os_critical_leave();
        assert_int_equal(harness_span(blocks[f])->flavor, f);
        assert_int_equal(slice_of((uintptr_t)blocks[f])->flavor, f);
    }
    harness_check();
    for (unsigned f = 0; f < FLAVOR_GC_TINY; f++)
        harness_free(blocks[f]);
    harness_start_afresh();
}

static void alloc_and_keep(void *out)
{
    *(void **)out = harness_alloc(SIZE);
}

static void remember_cache(void *out)
{
    harness_free(harness_alloc(SIZE));
    *(struct tcache **)out = tcache_self;
}

static void caches_are_recycled_and_leave_their_spans(void **state)
{
    (void)state;
    struct tcache *first = NULL, *second = NULL;
    void *kept;
    harness_start_afresh();
    harness_in_thread(remember_cache, &first);
    harness_in_thread(remember_cache, &second);
    assert_ptr_equal(first, second);
    assert_false(first->is_active);
    assert_ptr_equal(atomic_load(&first->inbox.head), INBOX_CLOSED);
    harness_in_thread(alloc_and_keep, &kept);
    assert_null(atomic_load(&harness_span(kept)->owner));
    assert_int_equal(harness_state(kept), HEAP_LIVE);
    harness_free(kept);
    harness_start_afresh();
    assert_int_equal(heap_recount(), 0);
}

/* World stopped: the owner is there, but sleeps. */
static void a_cut_cache_is_out_of_sight_until_it_is_mended(void **state)
{
    (void)state;
    void *block;
    harness_alloc_n(&block, 1, SIZE);
    struct tcache *mine = tcache_self;
    tcache_cut();
    assert_ptr_equal(tcache_self, &tcache_none);
    assert_int_equal(*bin()->word, 0); /* malloc's fast path finds nothing, and free's no span of its own */
    tcache_mend();
    assert_ptr_equal(tcache_self, mine);
    harness_free_n(&block, 1);
    harness_start_afresh(); /* no cache: cutting nothing mends to nothing */
    tcache_cut();
    tcache_mend();
    assert_ptr_equal(tcache_self, &tcache_none);
    harness_check();
}

static void a_detached_span_is_in_no_window_and_on_no_list(void **state)
{
    (void)state;
    harness_start_afresh();
    void *p = harness_alloc(SIZE);
    struct span *s = harness_span(p);
    assert_ptr_equal(bin()->span, s);
    harness_free(p);
    os_critical_enter();
    assert_true(span_retire_empty(s));
    tcache_detach(s);
    heap_release_span(s);
    heap_check();
    os_critical_leave();
    assert_ptr_equal(bin()->word, &tcache_no_word);
    assert_null(bin()->span);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cache_of_nobody_is_empty_and_stays_so),
        cmocka_unit_test(lists_begin_with_the_first_full_span),
        cmocka_unit_test(windows_walk_a_span_word_by_word),
        cmocka_unit_test(a_step_stays_in_the_span),
        cmocka_unit_test(no_step_passes_by_a_flag_or_a_tick),
        cmocka_unit_test(a_step_that_must_be_told_of_is_not_taken_unwatched),
        cmocka_unit_test(the_first_free_in_a_full_span_makes_it_available),
        cmocka_unit_test(slots_freed_in_the_window_are_handed_out_at_once),
        cmocka_unit_test(each_flavor_has_spans_of_its_own),
        cmocka_unit_test(caches_are_recycled_and_leave_their_spans),
        cmocka_unit_test(a_cut_cache_is_out_of_sight_until_it_is_mended),
        cmocka_unit_test(a_detached_span_is_in_no_window_and_on_no_list),
    };
    return cmocka_run_group_tests(tests, harness_setup, NULL);
}
