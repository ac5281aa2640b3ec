/* Each kind of value word for word, and the end of the buffer at every length. */
#include "base/fmt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "unit_seed.h"

static char buf[256];

static struct fmt fresh(void)
{
    memset(buf, '#', sizeof(buf));
    return fmt_init(buf, sizeof(buf));
}

#define ASSERT_TEXT(f, text)                                                                                 \
    do {                                                                                                     \
        assert_string_equal(fmt_cstr(f), text);                                                              \
        assert_false((f)->truncated);                                                                        \
    } while (0)

static void test_numbers_agree_with_printf(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    const uint64_t edges[] = {0, 1, 9, 10, 99, 100, UINT32_MAX, INT64_MAX, (uint64_t)INT64_MIN, UINT64_MAX};
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t value = i < 10 ? edges[i] : test_random(&seed) >> unit_below(&seed, 64);
        char expected[80];
        struct fmt f = fresh();
        fmt_u64(&f, value);
        fmt_char(&f, ' ');
        fmt_i64(&f, (int64_t)value);
        fmt_char(&f, ' ');
        fmt_hex(&f, value);
        snprintf(expected, sizeof(expected), "%" PRIu64 " %" PRId64 " 0x%" PRIx64, value, (int64_t)value,
                 value);
        ASSERT_TEXT(&f, expected);
    }
}

static void test_strings(void **state)
{
    (void)state;
    struct fmt f = fresh();
    fmt_str(&f, "");
    ASSERT_TEXT(&f, "");
    fmt_str(&f, "ab");
    fmt_mem(&f, "cdef", 2);
    fmt_char(&f, '!');
    fmt_str(&f, NULL);
    ASSERT_TEXT(&f, "abcd!(null)");
}

static void test_bytes(void **state)
{
    (void)state;
    static const struct {
        uint64_t n_bytes;
        const char *text;
    } rows[] = {
        {0, "0"},
        {1, "1"},
        {1023, "1023"},
        {1024, "1K"},
        {1025, "1K"},
        {1126, "1K"},
        {1127, "1.1K"},
        {1536, "1.5K"},
        {2047, "1.9K"},
        {10240, "10K"},
        {1048575, "1023.9K"},
        {1048576, "1M"},
        {UINT64_C(64) << 20, "64M"},
        {(UINT64_C(7) << 30) + (UINT64_C(1) << 29), "7.5G"},
        {UINT64_C(3) << 40, "3T"},
        {UINT64_C(5) << 50, "5P"},
        {UINT64_C(1) << 60, "1E"},
        {UINT64_MAX, "15.9E"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fmt f = fresh();
        fmt_bytes(&f, rows[i].n_bytes);
        ASSERT_TEXT(&f, rows[i].text);
    }
}

static void test_names_of_others(void **state)
{
    (void)state;
    struct fmt f = fresh();
    fmt_plain(&f, "a b\n\x1b[2J\x7f\xc3\xbc\xff");
    ASSERT_TEXT(&f, "a b??[2J?\xc3\xbc\xff");
}

static void test_strings_of_json(void **state)
{
    (void)state;
    static const struct {
        const char *text, *json;
    } rows[] = {
        {"", "\"\""},
        {"a\"b\\c\n\x7f", "\"a\\\"b\\\\c?\x7f\""},
        {"\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"\xff" "a\x80\xc3", "\"?a??\""}, /* no beginning; cut by the end */
        {"\xc3\"\xe2\x82\"", "\"?\\\"??\\\"\""}, /* cut by what follows */
        {"\xc0\x80\xe0\x9f\xbf\xf0\x8f\xbf\xbf", "\"?????????\""}, /* longer than need be */
        {"\xed\xa0\x80\xf4\x90\x80\x80\xf5\x80", "\"?????????\""}, /* half of a pair; beyond the last one */
        {"\xed\x9f\xbf\xf4\x8f\xbf\xbf", "\"\xed\x9f\xbf\xf4\x8f\xbf\xbf\""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fmt f = fresh();
        fmt_json(&f, rows[i].text);
        ASSERT_TEXT(&f, rows[i].json);
    }
}

static void test_fields_are_parted_by_one_blank(void **state)
{
    (void)state;
    struct fmt f = fresh();
    fmt_field(&f, "a", 1);
    fmt_field(&f, "b", 22);
    fmt_end_line(&f);
    fmt_field(&f, "c", 3);
    ASSERT_TEXT(&f, "a=1 b=22\nc=3");
}

static void put_all(struct fmt *f)
{
    fmt_str(f, "text");
    fmt_u64(f, 12345);
    fmt_i64(f, -678);
    fmt_hex(f, 0xabc);
    fmt_bytes(f, 1536);
    fmt_field(f, "key", 99);
    fmt_char(f, '.');
}

/* Whatever the room, the text is a prefix of the whole one, `truncated` is true exactly
 * where something is missing, and no byte behind the room changes. */
static void test_cut_at_every_length(void **state)
{
    (void)state;
    const char *whole = "text12345-6780xabc1.5K key=99.";
    size_t whole_len = strlen(whole);
    for (size_t cap = 0; cap <= whole_len + 2; cap++) {
        fresh();
        struct fmt f = fmt_init(buf, cap);
        put_all(&f);
        size_t expected = cap < whole_len ? cap : whole_len;
        assert_int_equal(f.len, expected);
        assert_memory_equal(buf, whole, expected);
        assert_int_equal(f.truncated, cap < whole_len);
        for (size_t i = cap; i < sizeof(buf); i++) {
            assert_int_equal(buf[i], '#');
        }
    }
}

static void test_nothing_follows_a_cut(void **state)
{
    (void)state;
    fresh();
    struct fmt f = fmt_init(buf, 5);
    fmt_str(&f, "abc");
    fmt_str(&f, "def"); /* cut to "de" */
    fmt_str(&f, "");
    fmt_char(&f, 'x');
    assert_int_equal(f.len, 5);
    assert_memory_equal(buf, "abcde#", 6);
    /* A cut text stays cut even where there is room again. */
    f.len = 2;
    fmt_char(&f, 'y');
    assert_int_equal(f.len, 2);
}

static void test_line_and_string_ends_take_the_last_byte(void **state)
{
    (void)state;
    fresh();
    struct fmt f = fmt_init(buf, 4);
    fmt_str(&f, "abcd");
    assert_false(f.truncated);
    fmt_end_line(&f);
    assert_true(f.truncated);
    assert_int_equal(f.len, 4);
    assert_memory_equal(buf, "abc\n#", 5);

    fresh();
    f = fmt_init(buf, 4);
    fmt_str(&f, "abcd");
    assert_string_equal(fmt_cstr(&f), "abc");
    assert_true(f.truncated);
    assert_int_equal(buf[4], '#');

    fresh();
    f = fmt_init(buf, 1);
    assert_string_equal(fmt_cstr(&f), "");
    assert_false(f.truncated);
    fmt_end_line(&f);
    assert_memory_equal(buf, "\n#", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_agree_with_printf),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_names_of_others),
        cmocka_unit_test(test_strings_of_json),
        cmocka_unit_test(test_fields_are_parted_by_one_blank),
        cmocka_unit_test(test_cut_at_every_length),
        cmocka_unit_test(test_nothing_follows_a_cut),
        cmocka_unit_test(test_line_and_string_ends_take_the_last_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
