/* Caches: windows walk the words of a span, full spans come back by their first free, an ended thread leaves nothing. */
#include "heap_harness.h"

#include <sched.h>
#include <sys/mman.h>

enum { SIZE = 64, N_PER_SPAN = SLICE_SIZE / SIZE, N_PER_WORD = 64 };

static unsigned class_of_size(void)
{
    return sizeclass_of(SIZE);
}

static struct tcache_bin *bin(void)
{
    return &tcache_self->malloc_set.bins[class_of_size()];
}

static void alloc_n(void **blocks, int n)
{
    for (int i = 0; i < n; i++)
        blocks[i] = harness_alloc(SIZE);
}

static void free_n(void **blocks, int n)
{
    for (int i = 0; i < n; i++)
        harness_free(blocks[i]);
}

static void start_afresh(void)
{
    harness_retire();
    os_critical_enter();
    central_release_empty();
    os_critical_leave();
    harness_check();
}

static void the_cache_of_nobody_is_empty_and_stays_so(void **state)
{
    (void)state;
    start_afresh();
    assert_ptr_equal(tcache_self, &tcache_none);
    for (unsigned c = 0; c < SIZECLASS_N; c++)
        assert_int_equal(*tcache_none.malloc_set.bins[c].word, 0);
    void *p = harness_alloc(SIZE);
    assert_ptr_not_equal(tcache_self, &tcache_none);
    assert_ptr_equal(tcache_none.malloc_set.bins[class_of_size()].word, &tcache_no_word);
    harness_free(p);
}

static void windows_walk_a_span_word_by_word(void **state)
{
    (void)state;
    static void *blocks[N_PER_SPAN + 1];
    start_afresh();
    alloc_n(blocks, 1);
    struct span *s = harness_span(blocks[0]);
    assert_int_equal(s->n_blocks, N_PER_SPAN);
    for (int i = 1; i < N_PER_SPAN; i++) {
        alloc_n(blocks + i, 1);
        assert_int_equal((uintptr_t)blocks[i], s->start + (uintptr_t)i * SIZE);
        assert_ptr_equal(bin()->word, &s->words[i / N_PER_WORD].free);
    }
    assert_int_equal(span_free_count(s), 0);
    alloc_n(blocks + N_PER_SPAN, 1);
    assert_ptr_not_equal(harness_span(blocks[N_PER_SPAN]), s);
    assert_int_equal(s->list_no, LIST_FULL);
    assert_null(s->fast_owner);
    harness_check();
    free_n(blocks, N_PER_SPAN + 1);
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
    start_afresh();
    alloc_n(blocks, N_PER_SPAN);
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
    free_n(blocks, N_PER_SPAN);
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
    start_afresh();
    alloc_n(blocks, N_PER_WORD);
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
    free_n(blocks, N_PER_WORD);
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
    start_afresh();
    alloc_n(blocks, N_PER_WORD);
    tcache_self->n_refills = 0;
    tcache_self->used_delta_bytes = TCACHE_ACCOUNT_BYTES - N_PER_WORD * SIZE;
    assert_false(step_by(harness_step_unwatched));
    assert_int_equal(tcache_self->used_delta_bytes, TCACHE_ACCOUNT_BYTES - N_PER_WORD * SIZE);
    tcache_self->used_delta_bytes = 0;
    sample_rate_bytes = 1 << 20;
    assert_false(step_by(harness_step_unwatched));
    sample_rate_bytes = 0;
    assert_true(step_by(harness_step_unwatched));
    free_n(blocks, N_PER_WORD);
}

static void the_first_free_in_a_full_span_makes_it_available(void **state)
{
    (void)state;
    static void *blocks[N_PER_SPAN + 1];
    start_afresh();
    alloc_n(blocks, N_PER_SPAN + 1);
    struct span *s = harness_span(blocks[0]);
    harness_free(blocks[100]);
    assert_int_equal(s->list_no, LIST_AVAILABLE);
    assert_ptr_equal(s->fast_owner, tcache_self);
    harness_check();
    static void *rest[N_PER_SPAN];
    alloc_n(rest, N_PER_SPAN - 1); /* what is left of the second span */
    assert_ptr_equal(harness_alloc(SIZE), blocks[100]);
    free_n(rest, N_PER_SPAN - 1);
    free_n(blocks, N_PER_SPAN + 1);
}

static void slots_freed_in_the_window_are_handed_out_at_once(void **state)
{
    (void)state;
    void *blocks[10];
    start_afresh();
    alloc_n(blocks, 10);
    harness_free(blocks[7]);
    harness_free(blocks[3]);
    assert_ptr_equal(harness_alloc(SIZE), blocks[3]);
    assert_ptr_equal(harness_alloc(SIZE), blocks[7]);
    free_n(blocks, 10);
}

static void empty_spans_go_back_but_for_the_current_one(void **state)
{
    (void)state;
    enum { N = N_PER_SPAN * 5 };
    static void *blocks[N];
    start_afresh();
    size_t used = heap_mapped_bytes();
    alloc_n(blocks, N);
    tcache_self->next_decay_ns = UINT64_MAX; /* so that no tick comes before us */
    assert_int_equal(heap_mapped_bytes(), used + 5 * SLICE_SIZE);
    free_n(blocks, N);
    os_critical_enter();
    assert_int_equal(tcache_release_empty(tcache_self), 4);
    os_critical_leave();
    assert_int_equal(heap_mapped_bytes(), used + SLICE_SIZE);
    harness_check();
    tcache_self->next_decay_ns = 0;
    start_afresh();
    assert_int_equal(heap_mapped_bytes(), used);
}

static bool is_resident(uintptr_t page)
{
    unsigned char state = 0;
    assert_int_equal(mincore((void *)page, os_page_size(), &state), 0);
    return (state & 1) != 0;
}

static void look_for_empty(int n_looks)
{
    os_critical_enter();
    while (n_looks-- > 0)
        tcache_release_empty(tcache_self);
    os_critical_leave();
}

/* Two looks: a span that was in use in between keeps its pages, because it will be in use again. */
static void idle_pages_of_a_span_in_use_go_back(void **state)
{
    (void)state;
    static void *blocks[2 * N_PER_SPAN];
    harness_needs_hardware();
    start_afresh();
    alloc_n(blocks, 2 * N_PER_SPAN);
    for (int i = 0; i < 2 * N_PER_SPAN; i++)
        memset(blocks[i], 0x5a, SIZE);
    struct span *s = harness_span(blocks[0]);
    for (int i = 1; i < N_PER_SPAN; i++)
        if (i != N_PER_SPAN / 2)
            harness_free(blocks[i]);
    look_for_empty(1);
    assert_true(is_resident(s->start + os_page_size()));
    look_for_empty(1);
    uintptr_t kept_page = bits_round_down((uintptr_t)blocks[N_PER_SPAN / 2], os_page_size());
    for (uintptr_t page = s->start; page < s->start + SLICE_SIZE; page += os_page_size())
        assert_int_equal(is_resident(page), page == s->start || page == kept_page);
    for (int i = 0; i < SIZE; i++)
        assert_true(((char *)blocks[0])[i] == 0x5a && ((char *)blocks[N_PER_SPAN / 2])[i] == 0x5a);
    harness_free(blocks[0]);
    harness_free(blocks[N_PER_SPAN / 2]);
    free_n(blocks + N_PER_SPAN, N_PER_SPAN);
    harness_check();
}

/* The span that the bin points into, too, and whether it was looked at before or not. */
static void trim_gives_idle_pages_back_at_once(void **state)
{
    (void)state;
    static void *blocks[2 * N_PER_SPAN];
    harness_needs_hardware();
    start_afresh();
    alloc_n(blocks, 2 * N_PER_SPAN);
    for (int i = 0; i < 2 * N_PER_SPAN; i++)
        memset(blocks[i], 0x5a, SIZE);
    for (int i = 0; i < 2 * N_PER_SPAN; i++)
        if (i % N_PER_SPAN != 0)
            harness_free(blocks[i]);
    os_critical_enter();
    assert_true(heap_trim(0) >= 2 * (SLICE_SIZE - os_page_size()));
    os_critical_leave();
    for (int i = 0; i < 2; i++) {
        uintptr_t start = harness_span(blocks[i * N_PER_SPAN])->start;
        for (uintptr_t page = start; page < start + SLICE_SIZE; page += os_page_size())
            assert_int_equal(is_resident(page), page == start);
        assert_int_equal(((char *)blocks[i * N_PER_SPAN])[SIZE - 1], 0x5a);
        harness_free(blocks[i * N_PER_SPAN]);
    }
    harness_check();
}

static volatile uint32_t waiter_waits, waiter_may_go;
static void *waiter_blocks[4 * N_PER_SPAN];

/* Frees its own blocks but the last, and waits; others free that one meanwhile. */
static void wait_with_empty_spans(void *arg)
{
    (void)arg;
    struct os_gate_frame frame;
    os_thread_register();
    alloc_n(waiter_blocks, 4 * N_PER_SPAN);
    free_n(waiter_blocks, 4 * N_PER_SPAN - 1);
    os_critical_enter();
    tcache_tick(tcache_self);
    os_critical_leave();
    alloc_n(waiter_blocks, 4 * N_PER_SPAN - 1);
    free_n(waiter_blocks, 4 * N_PER_SPAN - 1);
    os_gate_publish(&frame);
    waiter_waits = 1;
    while (!waiter_may_go)
        sched_yield();
    os_gate_leave(&frame);
    harness_retire();
    os_thread_unregister();
}

static void *waiter_main(void *arg)
{
    wait_with_empty_spans(arg);
    return NULL;
}

static void spans_of_a_waiting_thread_go_back(void **state)
{
    pthread_t waiter;
    (void)state;
    start_afresh();
    assert_int_equal(pthread_create(&waiter, NULL, waiter_main, NULL), 0);
    while (!waiter_waits)
        sched_yield();
    size_t before = heap_mapped_bytes();
    harness_free(waiter_blocks[4 * N_PER_SPAN - 1]);
    os_critical_enter();
    tcache_release_of_waiting();
    os_critical_leave();
    assert_true(before - heap_mapped_bytes() >= 3 * SLICE_SIZE); /* all but the current one */
    waiter_may_go = 1;
    pthread_join(waiter, NULL);
    harness_check();
}

static void each_flavor_has_spans_of_its_own(void **state)
{
    (void)state;
    void *blocks[FLAVOR_GC_TINY]; /* whose blocks are not freed alone */
    start_afresh();
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
    start_afresh();
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
    start_afresh();
    harness_in_thread(remember_cache, &first);
    harness_in_thread(remember_cache, &second);
    assert_ptr_equal(first, second);
    assert_false(first->is_active);
    assert_ptr_equal(atomic_load(&first->inbox.head), INBOX_CLOSED);
    harness_in_thread(alloc_and_keep, &kept);
    assert_null(atomic_load(&harness_span(kept)->owner));
    assert_int_equal(harness_state(kept), HEAP_LIVE);
    harness_free(kept);
    start_afresh();
    assert_int_equal(heap_recount(), 0);
}

/* World stopped: the owner is there, but sleeps. */
static void a_cut_cache_is_out_of_sight_until_it_is_mended(void **state)
{
    (void)state;
    void *block;
    alloc_n(&block, 1);
    struct tcache *mine = tcache_self;
    tcache_cut();
    assert_ptr_equal(tcache_self, &tcache_none);
    assert_int_equal(*bin()->word, 0); /* malloc's fast path finds nothing, and free's no span of its own */
    tcache_mend();
    assert_ptr_equal(tcache_self, mine);
    free_n(&block, 1);
    start_afresh(); /* no cache: cutting nothing mends to nothing */
    tcache_cut();
    tcache_mend();
    assert_ptr_equal(tcache_self, &tcache_none);
    harness_check();
}

static void a_detached_span_is_in_no_window_and_on_no_list(void **state)
{
    (void)state;
    start_afresh();
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

static int setup(void **state)
{
    (void)state;
    harness_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cache_of_nobody_is_empty_and_stays_so),
        cmocka_unit_test(windows_walk_a_span_word_by_word),
        cmocka_unit_test(a_step_stays_in_the_span),
        cmocka_unit_test(no_step_passes_by_a_flag_or_a_tick),
        cmocka_unit_test(a_step_that_must_be_told_of_is_not_taken_unwatched),
        cmocka_unit_test(the_first_free_in_a_full_span_makes_it_available),
        cmocka_unit_test(slots_freed_in_the_window_are_handed_out_at_once),
        cmocka_unit_test(empty_spans_go_back_but_for_the_current_one),
        cmocka_unit_test(idle_pages_of_a_span_in_use_go_back),
        cmocka_unit_test(trim_gives_idle_pages_back_at_once),
        cmocka_unit_test(spans_of_a_waiting_thread_go_back),
        cmocka_unit_test(each_flavor_has_spans_of_its_own),
        cmocka_unit_test(caches_are_recycled_and_leave_their_spans),
        cmocka_unit_test(a_cut_cache_is_out_of_sight_until_it_is_mended),
        cmocka_unit_test(a_detached_span_is_in_no_window_and_on_no_list),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
