/* Every size, every class, every offset: the tables have no room for surprises. */
#include "heap_harness.h"

static void class_of_each_size_is_the_smallest_that_fits(void **state)
{
    (void)state;
    for (size_t n = 0; n <= SIZECLASS_MAX_PACKED; n++) {
        unsigned c = sizeclass_of(n);
        assert_true(c < SIZECLASS_N);
        assert_true(sizeclass_size(c) >= n);
        assert_true(c == 0 || sizeclass_size(c - 1) < n);
    }
}

static void waste_is_an_eighth_at_most_from_64_bytes_on(void **state)
{
    (void)state;
    for (size_t n = 64; n <= SIZECLASS_MAX_SMALL; n++)
        assert_true((sizeclass_size(sizeclass_of(n)) - n) * 8 <= sizeclass_size(sizeclass_of(n)) + 7 * 16);
    for (size_t n = 129; n <= SIZECLASS_MAX_PACKED; n++)
        assert_true((sizeclass_size(sizeclass_of(n)) - n) * 8 < sizeclass_size(sizeclass_of(n)));
}

static void sizes_grow_and_are_multiples_of_the_alignment(void **state)
{
    (void)state;
    for (unsigned c = 0; c < SIZECLASS_N; c++) {
        assert_int_equal(sizeclass_size(c) % SIZECLASS_ALIGN, 0);
        assert_true(c == 0 || sizeclass_size(c) > sizeclass_size(c - 1));
    }
    assert_int_equal(sizeclass_size(SIZECLASS_N_SMALL - 1), SIZECLASS_MAX_SMALL);
    assert_int_equal(sizeclass_size(SIZECLASS_N - 1), SIZECLASS_MAX_PACKED);
}

static void reciprocal_is_exact_for_every_offset_of_every_span(void **state)
{
    (void)state;
    for (unsigned c = 0; c < SIZECLASS_N; c++) {
        uint32_t size = sizeclass_size(c), bytes = sizeclass_span_slices(c) * SLICE_SIZE;
        struct slice e = {.recip = sizeclass_recip(size)};
        assert_int_equal(slice_block_size(&e), size);
        for (uint32_t off = 0; off < bytes; off++) {
            if (slice_block_idx(&e, off) != off / size)
                fail_msg("index: class %u offset %u", c, off);
            if (slice_is_block_start(&e, off) != (off % size == 0))
                fail_msg("start: class %u offset %u", c, off);
        }
    }
}

static void spans_hold_at_least_eight_blocks_or_four_and_waste_little(void **state)
{
    (void)state;
    for (unsigned c = 0; c < SIZECLASS_N; c++) {
        uint32_t size = sizeclass_size(c), bytes = sizeclass_span_slices(c) * SLICE_SIZE;
        assert_true(bytes / size >= (size <= 128 << 10 ? 8 : 4));
        assert_true(bytes <= 1 << 20); /* what reciprocals are exact for */
        assert_true(bytes % size <= bytes / 16);
    }
}

static void aligned_class_holds_the_alignment(void **state)
{
    (void)state;
    for (size_t align = 16; align <= SIZECLASS_MAX_SMALL; align *= 2)
        for (size_t n = 1; n <= SIZECLASS_MAX_SMALL; n = n * 5 / 4 + 1) {
            unsigned c = sizeclass_of_aligned(n, align);
            assert_true(c < SIZECLASS_N);
            assert_true(sizeclass_size(c) >= n);
            assert_int_equal(sizeclass_size(c) % align, 0);
        }
    assert_int_equal(sizeclass_of_aligned(SIZECLASS_MAX_SMALL + 1, 16), SIZECLASS_N);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(class_of_each_size_is_the_smallest_that_fits),
        cmocka_unit_test(waste_is_an_eighth_at_most_from_64_bytes_on),
        cmocka_unit_test(sizes_grow_and_are_multiples_of_the_alignment),
        cmocka_unit_test(reciprocal_is_exact_for_every_offset_of_every_span),
        cmocka_unit_test(spans_hold_at_least_eight_blocks_or_four_and_waste_little),
        cmocka_unit_test(aligned_class_holds_the_alignment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
