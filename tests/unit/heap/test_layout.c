/* Layout bits: what is written for one block is read for it, and its neighbours' stay. */
#include "heap/layout.h"

#include "heap_harness.h"

static struct span *span_for(unsigned flavor, unsigned class_no)
{
    struct span *s = heap_new_span(class_no, flavor);
    assert_non_null(s);
    assert_non_null(s->layout);
    return s;
}

static struct heap_type *type_of(size_t size_bytes, uint64_t bits)
{
    struct heap_type *type = layout_type_new(size_bytes);
    assert_non_null(type);
    type->bits[0] = bits;
    return type;
}

static bool word_is_pointer(const struct span *s, uintptr_t block, size_t word_no)
{
    bool alone = layout_pointer_bits(s, block + word_no * 8) & 1;
    bool in_run = (layout_pointer_bits(s, block + word_no / 64 * 512) >> (word_no % 64)) & 1;
    assert_int_equal(alone, in_run);
    return alone;
}

static void check_array(struct span *s, uint32_t idx, const struct heap_type *type, size_t n)
{
    uintptr_t block = span_block(s, idx);
    for (size_t i = 0; i < s->size_bytes / 8; i++) {
        bool want = i < n * type->n_words && ((type->bits[0] >> (i % type->n_words)) & 1);
        assert_int_equal(word_is_pointer(s, block, i), want);
    }
}

/* Every class, neighbours set in both orders, arrays that end inside the block. */
static void test_blocks_of_every_class(void **state)
{
    (void)state;
    os_critical_enter();
    const struct heap_type *a = type_of(24, 5), *b = type_of(40, 0x1b);
    for (unsigned c = 1; c < SIZECLASS_N; c++) {
        struct span *s = span_for(FLAVOR_GC_TYPED, c);
        size_t n_a = s->size_bytes / 24, n_b = s->size_bytes / 40;
        uint32_t last = s->n_blocks - 1;
        layout_set_type(s, span_block(s, 1), a, n_a);
        layout_set_type(s, span_block(s, 0), b, n_b);
        layout_set_type(s, span_block(s, 2), b, n_b);
        layout_set_type(s, span_block(s, last), a, n_a);
        check_array(s, 0, b, n_b);
        check_array(s, 1, a, n_a);
        check_array(s, 2, b, n_b);
        check_array(s, last, a, n_a);
        layout_set_type(s, span_block(s, 1), a, 0);
        check_array(s, 1, a, 0);
        check_array(s, 2, b, n_b);
    }
    os_critical_leave();
}

static void test_large_blocks_repeat_their_type(void **state)
{
    (void)state;
    bool is_zero;
    os_critical_enter();
    struct heap_type *type = layout_type_new(70 * 8);
    type->bits[0] = 1;
    type->bits[1] = UINT64_C(1) << 5; /* word 69 */
    void *p = heap_large_alloc(700000, 16, FLAVOR_GC_TYPED, &is_zero);
    struct span *s = span_of_ref(slice_of((uintptr_t)p)->span);
    assert_int_equal(layout_pointer_bits(s, s->start), 0); /* no type yet */
    layout_set_type(s, s->start, type, 1250);
    for (size_t i = 0; i < 87500; i++)
        assert_int_equal(layout_pointer_bits(s, s->start + i * 8) & 1, i % 70 == 0 || i % 70 == 69);
    os_critical_leave();
}

static void test_bits_of_ended_spans_are_used_again(void **state)
{
    (void)state;
    os_critical_enter();
    size_t before = 0;
    for (int i = 0; i < 100; i++) {
        struct span *s = span_for(i % 2 == 0 ? FLAVOR_GC_TYPED : FLAVOR_GC_TINY, 0);
        assert_true(span_retire_empty(s));
        heap_release_span(s);
        if (i == 10)
            before = meta_used_bytes();
    }
    assert_int_equal(meta_used_bytes(), before);
    os_critical_leave();
}

static void set_part(struct span *s, uintptr_t addr, size_t part_bytes)
{
    *layout_parts(s, addr) |= (uint8_t)layout_part_bits(addr, part_bytes);
}

static void test_parts(void **state)
{
    (void)state;
    os_critical_enter();
    struct span *s = span_for(FLAVOR_GC_TINY, 0);
    uintptr_t a = span_block(s, 7), b = span_block(s, 8);
    set_part(s, a, 4);
    set_part(s, a + 8, 8);
    set_part(s, b, 12);
    assert_true(layout_is_part(s, a) && layout_is_part(s, a + 8) && layout_is_part(s, b));
    assert_false(layout_is_part(s, a + 1) || layout_is_part(s, a + 12) || layout_is_part(s, b + 8));
    assert_int_equal(layout_part_bytes(s, a), 4);
    assert_int_equal(layout_part_bytes(s, a + 8), 8);
    assert_int_equal(layout_part_bytes(s, b), 12);
    assert_int_equal(layout_part_bytes(s, b + 5), 7);
    set_part(s, b + 12, 4);
    assert_int_equal(layout_part_bytes(s, b), 12);
    assert_int_equal(layout_part_bytes(s, b + 12), 4);
    assert_int_equal(*layout_parts(s, span_block(s, 6)), 0);
    assert_int_equal(*layout_parts(s, span_block(s, 9)), 0);
    os_critical_leave();
}

static void test_free_of_parts(void **state)
{
    (void)state;
    os_critical_enter();
    char *block = harness_alloc_class(FLAVOR_GC_TINY, 0);
    struct span *s = span_of_ref(slice_of((uintptr_t)block)->span);
    *layout_parts(s, (uintptr_t)block) = 0;
    set_part(s, (uintptr_t)block, 4);
    set_part(s, (uintptr_t)block + 4, 8);
    struct heap_obj obj;
    for (int i = 0; i < 2; i++) { /* nothing is given back, so a second free is none */
        assert_int_equal(heap_free(block), HEAP_FREED);
        assert_int_equal(heap_free(block + 4), HEAP_FREED);
    }
    assert_int_equal(heap_find_object((uintptr_t)block + 5, &obj), HEAP_LIVE);
    assert_null(s->fast_owner);
    os_critical_leave();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_of_every_class),
        cmocka_unit_test(test_large_blocks_repeat_their_type),
        cmocka_unit_test(test_bits_of_ended_spans_are_used_again),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_free_of_parts),
    };
    return cmocka_run_group_tests(tests, harness_setup, NULL);
}
