/* Lists against an array of the members' order. */
#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "unit_seed.h"

struct item {
    int value;
    struct list link;
};

static int value_of(struct list *n)
{
    return LIST_ENTRY(n, struct item, link)->value;
}

static void test_empty(void **state)
{
    (void)state;
    struct list head;
    list_init(&head);
    assert_true(list_is_empty(&head));
    assert_true(list_check(&head));
    assert_ptr_equal(head.next, &head);
    assert_ptr_equal(head.prev, &head);
    assert_null(list_pop_front(&head));
}

static void test_order_and_ends(void **state)
{
    (void)state;
    struct list head;
    struct item items[3] = {{.value = 0}, {.value = 1}, {.value = 2}};
    list_init(&head);
    list_push_back(&head, &items[1].link);
    list_push_back(&head, &items[2].link);
    list_push_front(&head, &items[0].link);
    int expected = 0;
    LIST_FOREACH(n, &head)
    {
        assert_int_equal(value_of(n), expected++);
    }
    assert_int_equal(expected, 3);
    assert_int_equal(value_of(head.next), 0);
    assert_int_equal(value_of(head.prev), 2);
    for (int i = 0; i < 3; i++) {
        assert_true(list_is_linked(&items[i].link));
        assert_ptr_equal(list_pop_front(&head), &items[i].link);
        assert_false(list_is_linked(&items[i].link));
        assert_true(list_check(&head));
    }
    assert_true(list_is_empty(&head));
}

static void test_removing_twice_is_harmless(void **state)
{
    (void)state;
    struct list head;
    struct item a = {.value = 1}, b = {.value = 2};
    list_init(&head);
    list_push_back(&head, &a.link);
    list_push_back(&head, &b.link);
    list_remove(&a.link);
    list_remove(&a.link);
    assert_true(list_check(&head));
    assert_ptr_equal(head.next, &b.link);
    assert_ptr_equal(head.prev, &b.link);
}

static void test_safe_walk_may_empty_the_list(void **state)
{
    (void)state;
    struct list head;
    struct item items[5];
    list_init(&head);
    for (int i = 0; i < 5; i++) {
        items[i].value = i;
        list_push_back(&head, &items[i].link);
    }
    int seen = 0;
    LIST_FOREACH_SAFE(n, after, &head)
    {
        assert_int_equal(value_of(n), seen++);
        list_remove(n);
    }
    assert_int_equal(seen, 5);
    assert_true(list_is_empty(&head));
}

static void test_check_finds_a_broken_link(void **state)
{
    (void)state;
    struct list head;
    struct item a, b;
    list_init(&head);
    list_push_back(&head, &a.link);
    list_push_back(&head, &b.link);
    assert_true(list_check(&head));
    b.link.prev = &head;
    assert_false(list_check(&head));
    b.link.prev = &a.link;
    a.link.next = NULL;
    assert_false(list_check(&head));
}

enum {
    N_ITEMS = 16,
};

static void assert_order(struct list *head, const int *order, size_t n)
{
    assert_true(list_check(head));
    size_t i = 0;
    LIST_FOREACH(node, head)
    {
        assert_true(i < n);
        assert_int_equal(value_of(node), order[i++]);
    }
    assert_int_equal(i, n);
}

static void test_random_changes(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    struct list head;
    struct item items[N_ITEMS];
    int order[N_ITEMS];
    size_t n = 0;
    list_init(&head);
    for (int i = 0; i < N_ITEMS; i++) {
        items[i].value = i;
        list_init(&items[i].link);
    }
    for (unsigned round = 0; round < 20000; round++) {
        int i = (int)unit_below(&seed, N_ITEMS);
        if (list_is_linked(&items[i].link)) {
            size_t at = 0;
            while (order[at] != i) {
                at++;
            }
            list_remove(&items[i].link);
            n--;
            memmove(order + at, order + at + 1, (n - at) * sizeof(order[0]));
        } else if (unit_below(&seed, 2)) {
            list_push_back(&head, &items[i].link);
            order[n++] = i;
        } else {
            list_push_front(&head, &items[i].link);
            memmove(order + 1, order, n * sizeof(order[0]));
            order[0] = i;
            n++;
        }
        assert_order(&head, order, n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_order_and_ends),
        cmocka_unit_test(test_removing_twice_is_harmless),
        cmocka_unit_test(test_safe_walk_may_empty_the_list),
        cmocka_unit_test(test_check_finds_a_broken_link),
        cmocka_unit_test(test_random_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
