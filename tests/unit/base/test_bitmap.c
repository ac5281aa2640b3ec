/* Bitmaps against an array of bools: all ranges of small maps, and random maps. */
#include "base/bitmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "unit_seed.h"

enum {
    N_BITS = 200,
    N_WORDS = 4,
};

static uint64_t map[N_WORDS];
static bool model[N_WORDS * 64];

static void fill_random(uint64_t *seed, unsigned in_1024)
{
    for (size_t i = 0; i < N_WORDS * 64; i++) {
        model[i] = unit_below(seed, 1024) < in_1024;
        if (model[i]) {
            bitmap_set(map, i);
        } else {
            bitmap_clear(map, i);
        }
    }
}

static void assert_equals_model(void)
{
    for (size_t i = 0; i < N_WORDS * 64; i++) {
        assert_int_equal(bitmap_test(map, i), model[i]);
        assert_int_equal((map[i / 64] >> (i % 64)) & 1, model[i]);
    }
}

static void test_sizes(void **state)
{
    (void)state;
    assert_int_equal(bitmap_n_words(0), 0);
    assert_int_equal(bitmap_n_words(1), 1);
    assert_int_equal(bitmap_n_words(64), 1);
    assert_int_equal(bitmap_n_words(65), 2);
    assert_int_equal(bitmap_n_words(SIZE_MAX), SIZE_MAX / 64 + 1);
}

static void test_every_range_of_a_map(void **state)
{
    (void)state;
    for (size_t first = 0; first <= N_BITS; first++) {
        for (size_t end = first; end <= N_BITS; end++) {
            memset(map, 0, sizeof(map));
            bitmap_set_range(map, first, end - first);
            assert_int_equal(bitmap_count(map, N_WORDS * 64), end - first);
            assert_int_equal(bitmap_count_range(map, first, end - first), end - first);
            assert_int_equal(bitmap_next_set(map, N_WORDS * 64, 0), first == end ? N_WORDS * 64 : first);
            memset(map, 0xff, sizeof(map));
            bitmap_clear_range(map, first, end - first);
            assert_int_equal(bitmap_count(map, N_WORDS * 64), N_WORDS * 64 - (end - first));
            assert_int_equal(bitmap_count_range(map, first, end - first), 0);
            assert_int_equal(bitmap_next_clear(map, N_WORDS * 64, 0), first == end ? N_WORDS * 64 : first);
        }
    }
}

static void test_random_changes(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    memset(map, 0, sizeof(map));
    memset(model, 0, sizeof(model));
    for (unsigned round = 0; round < 5000; round++) {
        size_t first = unit_below(&seed, N_BITS);
        size_t n = unit_below(&seed, N_BITS - first + 1);
        bool value = unit_below(&seed, 2);
        (value ? bitmap_set_range : bitmap_clear_range)(map, first, n);
        memset(model + first, value, n);
        assert_equals_model();
    }
}

static size_t model_next(bool value, size_t n_bits, size_t from)
{
    while (from < n_bits && model[from] != value) {
        from++;
    }
    return from;
}

static size_t model_find_run(size_t n_bits, size_t run, size_t from)
{
    for (; from + run <= n_bits; from++) {
        size_t n = 0;
        while (n < run && !model[from + n]) {
            n++;
        }
        if (n == run) {
            return from;
        }
    }
    return BITMAP_NONE;
}

static void test_searches_agree_with_model(void **state)
{
    (void)state;
    static const unsigned densities[] = {0, 8, 60, 300, 512, 900, 1016, 1024};
    uint64_t seed = unit_seed();
    for (unsigned round = 0; round < 400; round++) {
        fill_random(&seed, densities[round % 8]);
        for (unsigned i = 0; i < 200; i++) {
            size_t n_bits = unit_below(&seed, N_BITS + 1);
            size_t from = unit_below(&seed, n_bits + 1);
            size_t run = 1 + unit_below(&seed, i % 2 ? 6 : N_BITS);
            assert_int_equal(bitmap_next_set(map, n_bits, from), model_next(true, n_bits, from));
            assert_int_equal(bitmap_next_clear(map, n_bits, from), model_next(false, n_bits, from));
            assert_int_equal(bitmap_find_clear_run(map, n_bits, run, from),
                             model_find_run(n_bits, run, from));
        }
    }
}

/* All 2^12 maps of 12 bits, all runs, all starts; the bits beyond say the opposite of what is sought. */
static void test_every_small_map(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 4096; bits++) {
        map[0] = bits;
        for (size_t i = 0; i < 12; i++) {
            model[i] = bits >> i & 1;
        }
        for (size_t from = 0; from <= 12; from++) {
            for (size_t run = 1; run <= 13; run++) {
                assert_int_equal(bitmap_find_clear_run(map, 12, run, from), model_find_run(12, run, from));
            }
        }
        assert_int_equal(bitmap_count(map, 12), bits_popcount64(bits));
    }
}

static void test_runs_do_not_leave_the_map(void **state)
{
    (void)state;
    memset(map, 0, sizeof(map));
    assert_int_equal(bitmap_find_clear_run(map, 0, 1, 0), BITMAP_NONE);
    assert_int_equal(bitmap_find_clear_run(map, 100, 100, 0), 0);
    assert_int_equal(bitmap_find_clear_run(map, 100, 101, 0), BITMAP_NONE);
    assert_int_equal(bitmap_find_clear_run(map, 100, SIZE_MAX, 0), BITMAP_NONE);
    assert_int_equal(bitmap_find_clear_run(map, 100, 1, 99), 99);
    assert_int_equal(bitmap_find_clear_run(map, 100, 1, 100), BITMAP_NONE);
    assert_int_equal(bitmap_find_clear_run(map, 100, 2, 99), BITMAP_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),           cmocka_unit_test(test_every_range_of_a_map),
        cmocka_unit_test(test_random_changes),  cmocka_unit_test(test_searches_agree_with_model),
        cmocka_unit_test(test_every_small_map), cmocka_unit_test(test_runs_do_not_leave_the_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
