/* Publishing what is dead: totals, bits, spans that go back at once. */
#include "gc/sweep.h"

#include "base/counters.h"
#include "gc_blocks.h"

enum { N = 5000, SIZE = 64 };
static void *blocks[N];

static void make_blocks(void)
{
    for (size_t i = 0; i < N; i++)
        blocks[i] = gc_block(FLAVOR_MALLOC, SIZE);
}

static void test_totals_and_bits(void **state)
{
    (void)state;
    struct sweep_totals t;
    make_blocks();
    static void *kept[N / 5];
    for (size_t i = 0; i < N / 5; i++)
        kept[i] = blocks[i * 5];
    gc_block_cycle(kept, sizeof(kept), &t);
    assert_int_equal(t.n_live, N / 5);
    assert_int_equal(t.n_dead, N - N / 5);
    assert_int_equal(t.live_bytes, N / 5 * SIZE);
    assert_int_equal(t.dead_bytes, (N - N / 5) * SIZE);
    assert_int_equal(heap_used_estimate(), N / 5 * SIZE);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(gc_block_is_live(blocks[i]), i % 5 == 0);
    gc_block_cycle(kept, sizeof(kept), &t); /* and again: nothing new */
    assert_int_equal(t.n_live, N / 5);
    assert_int_equal(t.n_dead, 0);
    os_critical_enter();
    assert_int_equal(heap_recount(), N / 5 * SIZE);
    os_critical_leave();
    gc_block_cycle(NULL, 0, &t);
    assert_int_equal(t.n_dead, N / 5);
}

static void test_dead_slots_are_handed_out_again(void **state)
{
    (void)state;
    struct sweep_totals t;
    make_blocks();
    gc_block_cycle(&blocks[0], sizeof(void *), &t);
    size_t mapped = heap_mapped_bytes();
    void *kept = blocks[0];
    make_blocks();
    for (size_t i = 0; i < N; i++)
        assert_ptr_not_equal(blocks[i], kept);
    assert_true(heap_mapped_bytes() <= mapped + N * SIZE + 4 * SLICE_SIZE);
    gc_block_cycle(NULL, 0, &t);
}

static void test_empty_spans_go_back_at_once(void **state)
{
    (void)state;
    struct sweep_totals t;
    make_blocks();
    void *large = gc_block(FLAVOR_MALLOC, 8 << 20);
    size_t before = heap_mapped_bytes();
    gc_block_cycle(NULL, 0, &t);
    assert_true(t.n_spans_released >= N * SIZE / SLICE_SIZE);
    assert_true(heap_mapped_bytes() <= before - (8 << 20));
    assert_false(gc_block_is_live(large));
    os_critical_enter();
    assert_int_equal(heap_free(large), HEAP_FREED_TAKEN); /* a pointer that we did not see: no misuse */
    os_critical_leave();
}

static void test_counting_changes_nothing(void **state)
{
    (void)state;
    make_blocks();
    gc_block_mark_begin();
    mark_words((uintptr_t)blocks, (uintptr_t)(blocks + N / 2));
    assert_true(mark_drain());
    struct sweep_totals t = sweep_count();
    assert_int_equal(t.n_live, N / 2);
    assert_int_equal(t.n_dead, N - N / 2);
    assert_int_equal(t.n_spans_released, 0);
    for (size_t i = 0; i < N; i++) {
        assert_true(gc_block_is_live(blocks[i]));
        assert_false(GC_IS_MARKED(blocks[i]));
    }
    heap_check();
    os_fault_guard_end();
    mark_finish();
    os_critical_leave();
    for (size_t i = 0; i < N; i++)
        gc_block_free(blocks[i]);
}

static int setup(void **state)
{
    (void)state;
    gc_block_heap_setup();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_totals_and_bits),
        cmocka_unit_test(test_dead_slots_are_handed_out_again),
        cmocka_unit_test(test_empty_spans_go_back_at_once),
        cmocka_unit_test(test_counting_changes_nothing),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
