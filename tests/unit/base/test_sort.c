/* Every order of few items, and random ones with equals: the same items, in order. */
#include "base/sort.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit_seed.h"

struct item {
    int key;
    char rest[20]; /* goes with its key */
};

static bool is_before(const void *a, const void *b)
{
    return ((const struct item *)a)->key < ((const struct item *)b)->key;
}

static void assert_sorts(struct item *items, size_t n)
{
    int sum = 0, sum_sorted = 0;

    for (size_t i = 0; i < n; i++) {
        sum += items[i].key;
        memset(items[i].rest, items[i].key, sizeof(items[i].rest));
    }
    sort_items(items, n, sizeof(items[0]), is_before);
    for (size_t i = 0; i < n; i++) {
        sum_sorted += items[i].key;
        assert_true(i == 0 || items[i - 1].key <= items[i].key);
        assert_int_equal(items[i].rest[0], (char)items[i].key);
        assert_int_equal(items[i].rest[19], (char)items[i].key);
    }
    assert_int_equal(sum, sum_sorted);
}

static void test_every_order_of_few(void **state)
{
    struct item items[6];

    (void)state;
    for (size_t n = 0; n <= 6; n++)
        for (int code = 0; code < 46656; code += n < 4 ? 7 : 1) { /* six digits of base 6 */
            int rest = code;
            for (size_t i = 0; i < n; i++, rest /= 6)
                items[i].key = rest % 6;
            assert_sorts(items, n);
        }
}

static void test_many_with_equals(void **state)
{
    static struct item items[5000];
    uint64_t seed = unit_seed();

    (void)state;
    for (int round = 0; round < 20; round++) {
        size_t n = unit_below(&seed, 5000);
        for (size_t i = 0; i < n; i++)
            items[i].key = (int)unit_below(&seed, 100);
        assert_sorts(items, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_order_of_few),
        cmocka_unit_test(test_many_with_equals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
