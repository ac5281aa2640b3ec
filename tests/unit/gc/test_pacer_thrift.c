/* The distance of cycles that cost little. */
#include "gc/pacer_thrift.h"

#include "gc_blocks.h"

#define MB ((size_t)1 << 20)

/* So much in use of which so much was alive before; so much of it is garbage now. */
static struct thrift_past past(size_t was_live, size_t used, size_t dead, uint64_t between_ns, uint64_t cycle_ns)
{
    return (struct thrift_past){was_live, used - dead, dead, between_ns, cycle_ns};
}

static bool is_about(size_t bytes, size_t expected)
{
    return bytes >= expected - expected / 100 && bytes <= expected + expected / 100;
}

static void test_distance_costs_the_share(void **state)
{
    (void)state;
    struct thrift_past p = past(100 * MB, 200 * MB, 100 * MB, 1000, 100);
    /* a fifth: 4 times the cycle's 100 ns until the next, of 10 ns for each MB */
    assert_true(is_about(thrift_distance(&p, 10), 40 * MB));
    assert_true(is_about(thrift_distance(&p, 50), 10 * MB)); /* the program is ready to pay more */
}

static void test_nothing_recovered_is_worth_the_budget_only(void **state)
{
    (void)state;
    struct thrift_past p = past(100 * MB, 200 * MB, 0, 1000, 100);
    assert_true(is_about(thrift_distance(&p, 10), 90 * MB));
}

static void test_unknown(void **state)
{
    (void)state;
    struct thrift_past p = past(100 * MB, 200 * MB, 100 * MB, 0, 100);
    assert_true(thrift_distance(&p, 10) == SIZE_MAX); /* no time went by */
    p.between_ns = 1000;
    assert_true(thrift_distance(&p, 100) == SIZE_MAX);
    p = past(100 * MB, 200 * MB, 0, 1, UINT64_MAX);
    assert_true(thrift_distance(&p, 0) == SIZE_MAX); /* whatever it costs */
    assert_true(thrift_distance(&p, 1) == SIZE_MAX);
    p.was_live_bytes = 500 * MB; /* freed by the program meanwhile */
    assert_int_equal(thrift_distance(&p, 10), 0);
}

static void test_limit(void **state)
{
    (void)state;
    assert_int_equal(thrift_limit(100 * MB, SIZE_MAX), 100 * MB);
    assert_int_equal(thrift_limit(100 * MB, 60 * MB), 60 * MB);
    assert_true(is_about(thrift_limit(100 * MB, MB), 40 * MB));
    assert_int_equal(thrift_limit(0, MB), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distance_costs_the_share),
        cmocka_unit_test(test_nothing_recovered_is_worth_the_budget_only),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
