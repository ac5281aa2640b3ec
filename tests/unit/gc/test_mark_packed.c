/* Pointers in packed structures, in blocks of malloc. */
#include "gc/mark.h"

#include "gc_blocks.h"

static void *roots[1];

/* A pointer in an array of packed structures, wherever it lies: in small blocks, at the borders of the pieces in which
 * large ones are read, in pages that have to be read through the kernel. Not in blocks of gc_malloc. */
static bool packed_marks(char *array, size_t offset, void *target)
{
    memcpy(array + offset, &target, sizeof(target));
    roots[0] = array;
    gc_block_mark_begin();
    GC_MARK_WORDS(roots);
    assert_true(mark_drain());
    bool is_marked = GC_IS_MARKED(target);
    gc_block_mark_end();
    memset(array + offset, 0, sizeof(target));
    return is_marked;
}

static void test_packed_structures_in_blocks(void **state)
{
    (void)state;
    static const size_t sizes[] = {16, 48, 112, 192, 208, 256, 1024, 4096, 30000, 80000, 600000};
    void *target = gc_block(FLAVOR_MALLOC, 32);
    for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
        char *packed = gc_block(FLAVOR_MALLOC, sizes[i]), *aligned = gc_block(FLAVOR_GC, sizes[i]);
        memset(packed, 0, sizes[i]);
        memset(aligned, 0, sizes[i]);
        for (size_t at = 4; at + sizeof(target) <= sizes[i]; at += sizes[i] < 2000 ? 4 : 8 * (1 + at / 10000)) {
            assert_true(packed_marks(packed, at, target));
            assert_int_equal(packed_marks(aligned, at, target), at % 8 == 0);
        }
        for (size_t at = 4096 - 36; at < 3 * 4096 && at + sizeof(target) <= sizes[i]; at += at % 1024 == 60 ? 956 : 4)
            assert_true(packed_marks(packed, at, target));
        gc_block_free(packed);
        gc_block_free(aligned);
    }
    gc_block_free(target);
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
        cmocka_unit_test(test_packed_structures_in_blocks),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
