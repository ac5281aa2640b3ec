/* The marker's way through blocks whose untouched pages are left out. */
#include "gc/markstack.h"
#include <stdlib.h>

#include "gc_blocks.h"

enum { PAGE = 4096, N_RUNS = 40, RUN_PAGES = 132, STRIDE_PAGES = RUN_PAGES + 1, N_FILLERS = MARKSTACK_MIN_ENTRIES / 2 };

/* Pieces that are too long for small ranges, a page between each two, and an address at each end. */
static char *make_sparse(void *ends[N_RUNS])
{
    char *sparse = gc_block(FLAVOR_GC, (size_t)N_RUNS * STRIDE_PAGES * PAGE);
    for (int i = 0; i < N_RUNS; i++) {
        char *run = sparse + (size_t)i * STRIDE_PAGES * PAGE;
        memset(run, 1, (size_t)RUN_PAGES * PAGE);
        ends[i] = gc_block(FLAVOR_GC, 32);
        memcpy(run + RUN_PAGES * PAGE - sizeof(void *), &ends[i], sizeof(void *));
    }
    return sparse;
}

/* What a block holds that is not marked itself is not found again where the stack was full. The stack has as much room left as
 * whoever puts such a block there makes sure of. */
static void test_pieces_of_an_unmarked_block_have_room(void **state)
{
    (void)state;
    if (getenv("GCM_EMULATED") != NULL)
        skip(); /* a kernel tells which pages there are */
    void *ends[N_RUNS];
    char *sparse = make_sparse(ends);
    mark_set_stack_limit(MARKSTACK_MIN_ENTRIES);
    assert_int_equal(os_pages_prepare(), 0);
    gc_block_mark_begin();
    for (int i = 0; i < N_FILLERS; i++)
        mark_block_content((uintptr_t)ends[i % N_RUNS]);
    mark_block_content((uintptr_t)sparse);
    assert_true(mark_drain());
    for (int i = 0; i < N_RUNS; i++)
        assert_true(GC_IS_MARKED(ends[i]));
    assert_false(GC_IS_MARKED(sparse));
    gc_block_mark_end();
    os_pages_finish();
    mark_set_stack_limit(0);
    gc_block_free(sparse);
}

static int setup(void **state)
{
    (void)state;
    gc_block_heap_setup();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pieces_of_an_unmarked_block_have_room)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
