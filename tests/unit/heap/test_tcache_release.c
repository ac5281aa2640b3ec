/* What a cache no longer needs: empty spans, and pages that no block lies in, of threads that wait, too. */
#include "heap_harness.h"

#include <sched.h>
#include <sys/mman.h>

enum { SIZE = 64, N_PER_SPAN = SLICE_SIZE / SIZE };

static void empty_spans_go_back_but_for_the_current_one(void **state)
{
    (void)state;
    enum { N = N_PER_SPAN * 5 };
    static void *blocks[N];
    harness_start_afresh();
    size_t used = heap_mapped_bytes();
    harness_alloc_n(blocks, N, SIZE);
    tcache_self->next_decay_ns = UINT64_MAX; /* so that no tick comes before us */
    assert_int_equal(heap_mapped_bytes(), used + 5 * SLICE_SIZE);
    harness_free_n(blocks, N);
    os_critical_enter();
    assert_int_equal(tcache_release_empty(tcache_self), 4);
    os_critical_leave();
    assert_int_equal(heap_mapped_bytes(), used + SLICE_SIZE);
    harness_check();
    tcache_self->next_decay_ns = 0;
    harness_start_afresh();
    assert_int_equal(heap_mapped_bytes(), used);
}

/* Of a span that lies in the range by half, half. */
static void bytes_in_use_are_counted_by_range(void **state)
{
    (void)state;
    enum { N = 100, MORE = 1000, N_LARGE_SLICES = 4 };
    static void *blocks[N_PER_SPAN];
    harness_start_afresh();
    harness_alloc_n(blocks, N_PER_SPAN, SIZE);
    uintptr_t start = harness_span(blocks[0])->start;
    assert_int_equal(span_bytes_between(start, start + SLICE_SIZE, 0), SLICE_SIZE);
    harness_free_n(blocks + N, N_PER_SPAN - N);
    assert_int_equal(span_bytes_between(start, start + SLICE_SIZE, 0), N * SIZE);
    assert_int_equal(span_bytes_between(start, start + SLICE_SIZE, MORE), N * (SIZE + MORE));
    char *large = harness_alloc(N_LARGE_SLICES * SLICE_SIZE);
    uintptr_t half = (uintptr_t)large + N_LARGE_SLICES / 2 * SLICE_SIZE;
    assert_int_equal(span_bytes_between((uintptr_t)large, half, 0), N_LARGE_SLICES / 2 * SLICE_SIZE);
    harness_free(large);
    os_critical_enter();
    tcache_release_empty(tcache_self);
    os_critical_leave();
    assert_int_equal(span_bytes_between((uintptr_t)large, half, MORE), 0);
    harness_free_n(blocks, N);
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
    harness_start_afresh();
    harness_alloc_n(blocks, 2 * N_PER_SPAN, SIZE);
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
    harness_free_n(blocks + N_PER_SPAN, N_PER_SPAN);
    harness_check();
}

static int n_resident(uintptr_t start)
{
    int n = 0;
    for (uintptr_t page = start; page < start + SLICE_SIZE; page += os_page_size())
        n += is_resident(page);
    return n;
}

/* The current span of a class that hands out nothing: what is free goes back, and once more when blocks that were left are gone. */
static void idle_pages_of_a_dormant_class_go_back(void **state)
{
    (void)state;
    enum { N_LEFT = 4, N_APART = N_PER_SPAN / N_LEFT };
    static void *blocks[N_PER_SPAN];
    harness_needs_hardware();
    harness_start_afresh();
    harness_alloc_n(blocks, N_PER_SPAN, SIZE);
    for (int i = 0; i < N_PER_SPAN; i++)
        memset(blocks[i], 0x5a, SIZE);
    uintptr_t start = harness_span(blocks[0])->start;
    int n_pages = n_resident(start);
    for (int i = 0; i < N_PER_SPAN; i++)
        if (i % N_APART != 0)
            harness_free(blocks[i]);
    for (int i = 1; i < N_APART; i++) { /* it is used from look to look */
        blocks[i] = harness_alloc(SIZE);
        look_for_empty(1);
        assert_int_equal(n_resident(start), n_pages);
    }
    for (int i = 1; i < N_APART; i++)
        harness_free(blocks[i]);
    look_for_empty(1);
    assert_int_equal(n_resident(start), n_pages);
    look_for_empty(1);
    assert_int_equal(n_resident(start), N_LEFT);
    for (int n_left = N_LEFT; n_left > 1; n_left--) {
        assert_int_equal(((char *)blocks[(n_left - 1) * N_APART])[SIZE - 1], 0x5a);
        harness_free(blocks[(n_left - 1) * N_APART]);
        look_for_empty(1);
        assert_int_equal(n_resident(start), n_left - 1);
    }
    harness_free(blocks[0]);
    look_for_empty(1);
    assert_int_equal(n_resident(start), 0);
    *(volatile char *)start = 1; /* what tells that the kernel is not asked again: nothing was handed out since */
    look_for_empty(2);
    assert_int_equal(n_resident(start), 1);
    harness_check();
}

/* The span that the bin points into, too, and whether it was looked at before or not. */
static void trim_gives_idle_pages_back_at_once(void **state)
{
    (void)state;
    static void *blocks[2 * N_PER_SPAN];
    harness_needs_hardware();
    harness_start_afresh();
    harness_alloc_n(blocks, 2 * N_PER_SPAN, SIZE);
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

enum { BIG = 32768, N_BIG = 256, BIG_MORE_SLICES = 32 };

/* By memory, not by the number of spans: few of those of large blocks are many megabytes. */
static void empty_spans_serve_other_classes_before_the_heap_grows(void **state)
{
    (void)state;
    static void *blocks[N_BIG];
    harness_start_afresh();
    for (int i = 0; i < N_BIG; i++)
        blocks[i] = harness_alloc(BIG);
    tcache_self->next_decay_ns = UINT64_MAX;
    look_for_empty(1);
    size_t used = heap_mapped_bytes();
    for (int i = 0; i < N_BIG; i++)
        harness_free(blocks[i]);
    for (int i = 0; i < N_BIG; i++) {
        blocks[i] = harness_alloc(BIG / 8 * 7);
        assert_true(heap_mapped_bytes() <= used + BIG_MORE_SLICES * SLICE_SIZE);
    }
    for (int i = 0; i < N_BIG; i++)
        harness_free(blocks[i]);
    harness_start_afresh();
}

static volatile uint32_t waiter_waits, waiter_may_go;
static void *waiter_blocks[4 * N_PER_SPAN];

/* Frees its own blocks but the last, and waits; others free that one meanwhile. */
static void wait_with_empty_spans(void *arg)
{
    (void)arg;
    struct os_gate_frame frame;
    os_thread_register();
    harness_alloc_n(waiter_blocks, 4 * N_PER_SPAN, SIZE);
    harness_free_n(waiter_blocks, 4 * N_PER_SPAN - 1);
    os_critical_enter();
    tcache_tick(tcache_self);
    os_critical_leave();
    harness_alloc_n(waiter_blocks, 4 * N_PER_SPAN - 1, SIZE);
    harness_free_n(waiter_blocks, 4 * N_PER_SPAN - 1);
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
    harness_start_afresh();
    assert_int_equal(pthread_create(&waiter, NULL, waiter_main, NULL), 0);
    while (!waiter_waits)
        sched_yield();
    size_t before = heap_mapped_bytes();
    harness_free(waiter_blocks[4 * N_PER_SPAN - 1]);
    os_critical_enter();
    tcache_release_of_waiting(false);
    assert_true(before - heap_mapped_bytes() >= 3 * SLICE_SIZE); /* all but the current one */
    os_critical_leave();
    waiter_may_go = 1;
    pthread_join(waiter, NULL);
    harness_check();
}

/* Keeps the first block of each span, and waits. */
static void *wait_with_idle_pages(void *arg)
{
    struct os_gate_frame frame;
    os_thread_register();
    harness_alloc_n(waiter_blocks, 4 * N_PER_SPAN, SIZE);
    for (int i = 0; i < 4 * N_PER_SPAN; i++) {
        memset(waiter_blocks[i], 0x5a, SIZE);
        if (i % N_PER_SPAN != 0)
            harness_free(waiter_blocks[i]);
    }
    os_gate_publish(&frame);
    waiter_waits = 1;
    while (!waiter_may_go)
        sched_yield();
    os_gate_leave(&frame);
    for (int i = 0; i < 4 * N_PER_SPAN; i += N_PER_SPAN)
        harness_free(waiter_blocks[i]);
    harness_retire();
    os_thread_unregister();
    return arg;
}

static void trim_reaches_the_spans_of_a_waiting_thread(void **state)
{
    pthread_t waiter;
    (void)state;
    harness_needs_hardware();
    harness_start_afresh();
    waiter_waits = waiter_may_go = 0;
    assert_int_equal(pthread_create(&waiter, NULL, wait_with_idle_pages, NULL), 0);
    while (!waiter_waits)
        sched_yield();
    os_critical_enter();
    assert_true(heap_trim(0) >= 4 * (SLICE_SIZE - os_page_size()));
    os_critical_leave();
    for (int i = 0; i < 4; i++) {
        uintptr_t start = harness_span(waiter_blocks[i * N_PER_SPAN])->start;
        for (uintptr_t page = start; page < start + SLICE_SIZE; page += os_page_size())
            assert_int_equal(is_resident(page), page == start);
    }
    waiter_may_go = 1;
    pthread_join(waiter, NULL);
    harness_check();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_spans_go_back_but_for_the_current_one),
        cmocka_unit_test(bytes_in_use_are_counted_by_range),
        cmocka_unit_test(idle_pages_of_a_span_in_use_go_back),
        cmocka_unit_test(idle_pages_of_a_dormant_class_go_back),
        cmocka_unit_test(trim_gives_idle_pages_back_at_once),
        cmocka_unit_test(empty_spans_serve_other_classes_before_the_heap_grows),
        cmocka_unit_test(spans_of_a_waiting_thread_go_back),
        cmocka_unit_test(trim_reaches_the_spans_of_a_waiting_thread),
    };
    return cmocka_run_group_tests(tests, harness_setup, NULL);
}
