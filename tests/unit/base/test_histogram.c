/* Buckets begin where they say, and nothing falls between them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/histogram.h"

static void buckets_begin_at_their_floor(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HISTOGRAM_N; i++) {
        uint64_t floor_ns = histogram_floor_us(i) * 1000;
        assert_int_equal(histogram_bucket(floor_ns), i);
        if (i > 0)
            assert_int_equal(histogram_bucket(floor_ns - 1), i - 1);
    }
    assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_N - 1);
}

static void each_duration_counts_once(void **state)
{
    struct histogram h = {{0}};
    uint64_t sum = 0;

    (void)state;
    for (uint64_t ns = 1; ns != 0; ns <<= 1)
        histogram_add(&h, ns);
    for (unsigned i = 0; i < HISTOGRAM_N; i++)
        sum += histogram_get(&h, i);
    assert_int_equal(sum, 64);
    assert_int_equal(histogram_get(&h, 0), 10); /* 1 to 512 ns */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_begin_at_their_floor),
        cmocka_unit_test(each_duration_counts_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
