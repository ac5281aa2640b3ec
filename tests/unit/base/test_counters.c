/* The table of counters, and adding from several threads. */
#include "base/counters.h"

#include <ctype.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

enum {
    N_THREADS = 4,
    N_ADDS = 50000,
};

static const char *const enumerators[] = {
#define ENUMERATOR_TEXT(ENUMERATOR, name, help) #ENUMERATOR,
    COUNTER_TABLE(ENUMERATOR_TEXT)
#undef ENUMERATOR_TEXT
};

static void test_names_are_those_of_the_enumerators(void **state)
{
    (void)state;
    for (int c = 0; c < COUNTER_COUNT; c++) {
        char lower[80];
        size_t len = strlen(enumerators[c]);
        for (size_t i = 0; i <= len; i++) {
            lower[i] = (char)tolower((unsigned char)enumerators[c][i]);
        }
        assert_string_equal(counter_name((enum counter)c), lower);
        assert_true(strlen(counter_help((enum counter)c)) > 10);
        for (int other = 0; other < c; other++) {
            assert_string_not_equal(enumerators[other], enumerators[c]);
        }
    }
}

static void test_reasons_stand_together(void **state)
{
    (void)state;
    for (int c = 0; c < COUNTER_COUNT; c++) {
        int is_reason = strncmp(counter_name((enum counter)c), "skip_", 5) == 0;
        assert_int_equal(is_reason, c >= COUNTER_SKIP_FIRST && c <= COUNTER_SKIP_LAST);
    }
}

static void test_add_get_reset(void **state)
{
    (void)state;
    counters_reset();
    counter_add(COUNTER_CYCLES, 2);
    counter_add(COUNTER_CYCLES, 3);
    counter_add(COUNTER_GATE_PUBLISHES, UINT64_C(1) << 40);
    for (int c = 0; c < COUNTER_COUNT; c++) {
        uint64_t expected = c == COUNTER_CYCLES ? 5 : c == COUNTER_GATE_PUBLISHES ? UINT64_C(1) << 40 : 0;
        assert_true(counter_get((enum counter)c) == expected);
    }
    counters_reset();
    assert_int_equal(counter_get(COUNTER_CYCLES), 0);
}

static void test_each_skip_has_its_reason(void **state)
{
    (void)state;
    counters_reset();
    uint64_t n = 0;
    for (int c = COUNTER_SKIP_FIRST; c <= COUNTER_SKIP_LAST; c++) {
        counter_add_skip((enum counter)c);
        n++;
        assert_int_equal(counter_get((enum counter)c), 1);
    }
    assert_int_equal(counter_get(COUNTER_CYCLES_SKIPPED), n);
}

static void test_raise_keeps_the_maximum(void **state)
{
    (void)state;
    counters_reset();
    static const uint64_t values[][2] = {
        {0, 0}, {5, 5}, {3, 5}, {5, 5}, {6, 6}, {UINT64_MAX, UINT64_MAX}, {1, UINT64_MAX}};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        counter_raise(COUNTER_PAUSE_NS_MAX, values[i][0]);
        assert_true(counter_get(COUNTER_PAUSE_NS_MAX) == values[i][1]);
    }
}

static void *add_and_raise(void *arg)
{
    uint64_t thread = (uint64_t)(uintptr_t)arg;
    for (uint64_t i = 1; i <= N_ADDS; i++) {
        counter_add(COUNTER_REMOTE_FREES, 1);
        counter_raise(COUNTER_PAUSE_NS_MAX, i * N_THREADS + thread);
    }
    return NULL;
}

static void test_threads_lose_nothing(void **state)
{
    (void)state;
    counters_reset();
    pthread_t threads[N_THREADS];
    for (uintptr_t i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, add_and_raise, (void *)i), 0);
    }
    for (int i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(counter_get(COUNTER_REMOTE_FREES), N_THREADS * N_ADDS);
    assert_int_equal(counter_get(COUNTER_PAUSE_NS_MAX), N_ADDS * N_THREADS + N_THREADS - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_are_those_of_the_enumerators),
        cmocka_unit_test(test_reasons_stand_together),
        cmocka_unit_test(test_add_get_reset),
        cmocka_unit_test(test_each_skip_has_its_reason),
        cmocka_unit_test(test_raise_keeps_the_maximum),
        cmocka_unit_test(test_threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
