/* Distances between samples: their mean and their tail are those of the exponential distribution, within bounds that a right
 * generator misses once in many millions of runs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/geometric.h"
#include "unit_seed.h"

enum { N_DRAWS = 400000 };

static void mean_and_tail(void **state)
{
    static const uint64_t means[] = {2, 100, 4096, 512 * 1024, UINT64_C(1) << 40};
    uint64_t random = unit_seed() | 1;

    (void)state;
    for (size_t m = 0; m < sizeof(means) / sizeof(means[0]); m++) {
        double sum = 0, mean = (double)means[m];
        unsigned n_beyond = 0, n_below_tenth = 0;
        for (int i = 0; i < N_DRAWS; i++) {
            uint64_t d = geometric_next(&random, means[m]);
            assert_true(d >= 1);
            sum += (double)d;
            n_beyond += (double)d > 2 * mean + 1;
            n_below_tenth += (double)d <= mean / 10;
        }
        /* Rounding up adds half on average, at most one. The standard error of the mean is 0.16 %. */
        assert_true(sum / N_DRAWS > mean * 0.985 && sum / N_DRAWS < mean * 1.015 + 1);
        if (means[m] < 100)
            continue;
        assert_true(fabs(n_beyond / (double)N_DRAWS - exp(-2)) < 0.006);
        assert_true(fabs(n_below_tenth / (double)N_DRAWS - (1 - exp(-0.1))) < 0.012);
    }
}

/* What came before says nothing of what comes next. */
static void neighbours_are_independent(void **state)
{
    uint64_t random = unit_seed() | 1;
    unsigned n_long = 0, n_long_after_long = 0;
    int was_long = 0;

    (void)state;
    for (int i = 0; i < N_DRAWS; i++) {
        int is_long = geometric_next(&random, 1000) > 693;
        n_long += was_long;
        n_long_after_long += was_long && is_long;
        was_long = is_long;
    }
    assert_true(fabs(n_long_after_long / (double)n_long - 0.5) < 0.008);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mean_and_tail),
        cmocka_unit_test(neighbours_are_independent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
