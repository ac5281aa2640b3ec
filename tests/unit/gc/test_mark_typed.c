/* Typed blocks: words that are no pointers keep nothing, in blocks of every size, and a second marker agrees. */
#include "heap/layout.h"

#include "gc_blocks.h"

enum { N_TARGETS = 64 };

static void *roots[2];
static void *targets[N_TARGETS];

static struct heap_type *type_of(size_t n_words, uint64_t bits)
{
    os_critical_enter();
    struct heap_type *type = layout_type_new(n_words * 8);
    os_critical_leave();
    assert_non_null(type);
    type->bits[0] = bits;
    return type;
}

static void **typed_block(size_t size_bytes, const struct heap_type *type)
{
    void **p = gc_block(FLAVOR_GC_TYPED, size_bytes);
    os_critical_enter();
    layout_set_type(span_of_ref(slice_of((uintptr_t)p)->span), (uintptr_t)p, type, size_bytes / type->size_bytes);
    os_critical_leave();
    return p;
}

static bool give_roots(void *ctx)
{
    (void)ctx;
    GC_MARK_WORDS(roots);
    return true;
}

/* The block holds targets[i] at word at[i]; only where the type has a bit they are marked. */
static void check_block(void **block, size_t n_words, const struct heap_type *type, const size_t *at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        block[at[i]] = targets[i];
    roots[0] = block;
    gc_block_mark_begin();
    give_roots(NULL);
    assert_true(mark_drain());
    assert_true(mark_check(give_roots, NULL));
    for (size_t i = 0; i < n; i++) {
        size_t word_no = at[i] % type->n_words;
        bool want = at[i] < n_words / type->n_words * type->n_words && ((type->bits[0] >> word_no) & 1);
        assert_int_equal(GC_IS_MARKED(targets[i]), want);
    }
    gc_block_mark_end();
    roots[0] = NULL;
    gc_block_free(block);
}

static void test_small_blocks(void **state)
{
    (void)state;
    const struct heap_type *type = type_of(3, 5);
    size_t at[N_TARGETS];
    for (size_t n_words = 3; n_words <= 4096; n_words = n_words * 3 / 2) {
        size_t n = n_words < N_TARGETS ? n_words : N_TARGETS;
        for (size_t i = 0; i < n; i++)
            at[i] = i < n / 2 ? i : n_words - n + i;
        check_block(typed_block(n_words * 8, type), n_words, type, at, n);
    }
}

static void test_large_blocks(void **state)
{
    (void)state;
    const struct heap_type *type = type_of(7, 0x48);
    size_t at[N_TARGETS];
    for (size_t n_words = 7000; n_words <= 7000000; n_words *= 10) {
        for (size_t i = 0; i < N_TARGETS; i++)
            at[i] = i * (n_words / N_TARGETS) + i % 7;
        check_block(typed_block(n_words * 8, type), n_words, type, at, N_TARGETS);
    }
}

static void test_chains_through_both_kinds(void **state)
{
    (void)state;
    enum { N = 10000 };
    const struct heap_type *type = type_of(2, 2);
    void **first = NULL, *lost = gc_block(FLAVOR_GC, 16);
    for (int i = 0; i < N; i++) {
        void **p = i % 3 == 0 ? gc_block(FLAVOR_GC, 16) : typed_block(16, type);
        p[1] = first;
        if (i % 3 != 0)
            p[0] = lost;
        first = p;
    }
    roots[0] = first;
    gc_block_mark_begin();
    give_roots(NULL);
    assert_true(mark_drain());
    size_t n = 0;
    for (void **p = first; p != NULL; p = p[1])
        n += GC_IS_MARKED(p);
    assert_int_equal(n, N);
    assert_false(GC_IS_MARKED(lost));
    gc_block_mark_end();
    roots[0] = NULL;
}

static int setup(void **state)
{
    (void)state;
    gc_block_heap_setup();
    for (size_t i = 0; i < N_TARGETS; i++)
        targets[i] = gc_block(FLAVOR_GC, 48);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_blocks),
        cmocka_unit_test(test_large_blocks),
        cmocka_unit_test(test_chains_through_both_kinds),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
