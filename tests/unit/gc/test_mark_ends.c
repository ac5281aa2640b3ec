/* Addresses one past a block: when a word on a stack keeps it. */
#include "gc/mark.h"

#include "gc_blocks.h"

static void test_ends_of_blocks(void **state)
{
    (void)state;
    char *p = gc_block(FLAVOR_MALLOC, 48), *large = gc_block(FLAVOR_MALLOC, 70000);
    void *range[] = {p + 48, large + 73728, NULL};
    gc_block_mark_begin();
    GC_MARK_WORDS(range);
    assert_true(mark_drain());
    assert_false(GC_IS_MARKED(p) || GC_IS_MARKED(large));
    mark_stack_words((uintptr_t)range, (uintptr_t)(range + 3));
    assert_true(mark_drain());
    assert_true(GC_IS_MARKED(p) && GC_IS_MARKED(large));
    gc_block_mark_end();
}

enum { N_BEFORE_NEIGHBOURS = 100 };

/* Two blocks, the second right behind the first, and not at the beginning of their span. */
static void neighbours_new(unsigned flavor, size_t size, char *pair[2])
{
    for (int i = 0; i < N_BEFORE_NEIGHBOURS; i++)
        gc_block(flavor, size);
    pair[0] = gc_block(flavor, size);
    for (pair[1] = gc_block(flavor, size); pair[1] != pair[0] + size; pair[1] = gc_block(flavor, size))
        pair[0] = pair[1];
}

static bool end_keeps(unsigned flavor, size_t size, bool is_next_used)
{
    char *pair[2];
    neighbours_new(flavor, size, pair);
    void *range[] = {pair[1]};
    if (!is_next_used)
        gc_block_free(pair[1]);
    gc_block_mark_begin();
    mark_stack_words((uintptr_t)range, (uintptr_t)(range + 1));
    assert_true(mark_drain());
    assert_int_equal(GC_IS_MARKED(pair[1]), is_next_used);
    bool is_kept = GC_IS_MARKED(pair[0]);
    gc_block_mark_end();
    return is_kept;
}

static void test_an_end_that_is_a_start(void **state)
{
    (void)state;
    assert_false(end_keeps(FLAVOR_GC, 16, true));
    assert_false(end_keeps(FLAVOR_GC_NOSCAN, 128, true));
    assert_true(end_keeps(FLAVOR_GC, 16, false));
    assert_true(end_keeps(FLAVOR_GC, 144, true));
    assert_true(end_keeps(FLAVOR_MALLOC, 144, true));
    mark_note_full_block(144);
    assert_false(end_keeps(FLAVOR_MALLOC, 32, true)); /* a byte longer than asked */
    mark_note_full_block(128);
    assert_true(end_keeps(FLAVOR_MALLOC, 32, true));
    assert_false(end_keeps(FLAVOR_GC, 32, true));
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
        cmocka_unit_test(test_ends_of_blocks),
        cmocka_unit_test(test_an_end_that_is_a_start),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
