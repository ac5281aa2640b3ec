/* Bits at the edges of the word, and against plain loops. */
#include "base/bits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "unit_seed.h"

static void test_single_bits(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        uint64_t bit = UINT64_C(1) << i;
        assert_int_equal(bits_ctz64(bit), i);
        assert_int_equal(bits_ctz64(~UINT64_C(0) << i), i);
        assert_int_equal(bits_log2_floor(bit), i);
        assert_int_equal(bits_log2_floor(bit | (bit - 1)), i);
        assert_int_equal(bits_popcount64(bit), 1);
        assert_true(bits_is_pow2(bit));
        assert_int_equal(bits_is_pow2(bit | 1), i == 0);
    }
    assert_false(bits_is_pow2(0));
}

/* i counts modulo 64. */
static void test_test_and_change(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 128; i++) {
        uint64_t bit = UINT64_C(1) << (i & 63), none = 0, all = ~UINT64_C(0);
        assert_false(bits_test_and_set64(&none, i));
        assert_true(none == bit);
        assert_true(bits_test_and_set64(&none, i));
        assert_true(bits_test_and_clear64(&none, i));
        assert_true(none == 0);
        assert_false(bits_test_and_clear64(&none, i));
        assert_true(none == 0);
        assert_true(bits_test_and_clear64(&all, i));
        assert_true(all == ~bit);
    }
}

static void test_lowest_or_any(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(bits_ctz64_or_any(~UINT64_C(0) << i), i);
    assert_true(bits_ctz64_or_any(0) < 64);
}

static void test_low_masks(void **state)
{
    (void)state;
    uint64_t mask = 0;
    for (unsigned n = 0; n <= 64; n++) {
        assert_true(bits_low_mask(n) == mask);
        mask = mask << 1 | 1;
    }
}

static void test_rounding(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t unit = UINT64_C(1) << unit_below(&seed, 40);
        uint64_t x = test_random(&seed) >> (2 + unit_below(&seed, 60));
        assert_true(bits_round_down(x, unit) == x / unit * unit);
        assert_true(bits_round_up(x, unit) == (x / unit + (x % unit != 0)) * unit);
    }
}

static void test_counting(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t x = test_random(&seed);
        unsigned n = 0;
        for (unsigned b = 0; b < 64; b++) {
            n += x >> b & 1;
        }
        assert_int_equal(bits_popcount64(x), n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_bits),
        cmocka_unit_test(test_test_and_change),
        cmocka_unit_test(test_lowest_or_any),
        cmocka_unit_test(test_low_masks),
        cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_counting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
