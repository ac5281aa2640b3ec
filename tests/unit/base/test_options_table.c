/* What can be said of every option is tried for every row of the table. */
#include "base/options.h"

#include "options_harness.h"

static bool row_accepts(const struct option_row *row, const char *value)
{
    start_telling();
    defaults_into(&before);
    defaults_into(&after);
    bool ok = options_set(&after, row->name, value, tell, &n_told);
    assert_int_equal(n_told, ok ? 0 : 1);
    if (!ok) {
        assert_unchanged();
    }
    return ok;
}

static const char *value_text(const struct option_row *row, const struct options *o)
{
    static char text[OPTION_PATH_MAX + 1];
    struct fmt f = fmt_init(text, sizeof(text));
    options_put_value(&f, row, o);
    return fmt_cstr(&f);
}

static bool row_is_number(const struct option_row *row)
{
    return row->type == OPTION_INT || row->type == OPTION_PERCENT || row->type == OPTION_BYTES ||
           row->type == OPTION_LIMIT;
}

static void test_rows_are_sound(void **state)
{
    (void)state;
    FOR_EACH_ROW(row)
    {
        assert_ptr_equal(options_find(row->name, strlen(row->name)), row);
        assert_int_equal(strspn(row->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(row->name));
        assert_true(strlen(row->help) > 10);
        assert_null(strpbrk(row->help, "|\n")); /* it goes into a cell of a table */
        assert_true(row->lo <= row->initial && row->initial <= row->hi);
        assert_true(row->offset < sizeof(struct options));
        assert_int_equal(row->words != NULL, row->type == OPTION_ENUM || row->type == OPTION_LIMIT);
    }
    assert_null(options_find("", 0));
    assert_null(options_find("mode", 3));
    assert_null(options_find("modes", 5));
    assert_non_null(options_find("mode=off", 4));
}

static void test_defaults(void **state)
{
    (void)state;
    defaults_into(&after);
    assert_int_equal(after.mode, OPTION_MODE_AUTO);
    assert_int_equal(after.percent, 100);
    assert_int_equal(after.limit_bytes, 0);
    assert_int_equal(after.floor_bytes, 64 << 20);
    assert_int_equal(after.budget_percent, 10);
    FOR_EACH_ROW(row)
    {
        char expected[80];
        snprintf(expected, sizeof(expected), "%" PRId64, row->initial);
        if (row->type == OPTION_INT || row->type == OPTION_PERCENT) {
            assert_string_equal(value_text(row, &after), expected);
        } else if (row->type == OPTION_PATH) {
            assert_string_equal(value_text(row, &after), "");
        } else if (row->type == OPTION_BOOL) {
            assert_string_equal(value_text(row, &after), row->initial ? "yes" : "no");
        }
    }
}

/* The default's own text is accepted and changes nothing. */
static void test_defaults_written_out_are_the_defaults(void **state)
{
    (void)state;
    FOR_EACH_ROW(row)
    {
        defaults_into(&before);
        char text[OPTION_PATH_MAX + 1];
        strcpy(text, value_text(row, &before));
        assert_true(row_accepts(row, text));
        assert_unchanged();
    }
}

/* ---- types --------------------------------------------------------------------- */

static void test_bounds_of_numbers(void **state)
{
    (void)state;
    FOR_EACH_ROW(row)
    {
        if (!row_is_number(row)) {
            continue;
        }
        const int64_t inside[] = {row->lo, row->lo + 1, row->hi / 2, row->hi - 1, row->hi};
        char text[40];
        for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
            snprintf(text, sizeof(text), "%" PRId64, inside[i]);
            assert_true(row_accepts(row, text));
            bool is_bytes = row->type == OPTION_BYTES || row->type == OPTION_LIMIT;
            const char *field = (const char *)&after + row->offset;
            int64_t stored = is_bytes ? *(const int64_t *)field : *(const int32_t *)field;
            assert_true(stored == inside[i]);
            /* What is printed for it gives it back. */
            char printed[80];
            strcpy(printed, value_text(row, &after));
            struct options copy = after;
            assert_true(row_accepts(row, printed));
            assert_memory_equal(&copy, &after, sizeof(copy));
        }
        snprintf(text, sizeof(text), "%" PRId64, row->lo - 1);
        assert_false(row_accepts(row, text));
        snprintf(text, sizeof(text), "%" PRId64, row->hi + 1);
        assert_false(row_accepts(row, text));
        assert_false(row_accepts(row, "9223372036854775807"));
        assert_false(row_accepts(row, "9223372036854775808"));
        assert_false(row_accepts(row, "-9223372036854775808"));
        assert_false(row_accepts(row, "18446744073709551617")); /* 2^64 + 1 */
        assert_false(row_accepts(row, "99999999999999999999999999999999"));
    }
}

static void test_malformed_numbers(void **state)
{
    (void)state;
    static const char *const bad[] = {"",     "-",     "+1",  "abc", "1x",  " 1", "1 ", "1.5",
                                      "0x10", "--1",   "1-",  "%",   "1%%", "K",  "KB", "1KK",
                                      "1iB",  "1Kib2", "1BB", "1e3", "=1",  "1="};
    FOR_EACH_ROW(row)
    {
        for (size_t i = 0; row_is_number(row) && i < sizeof(bad) / sizeof(bad[0]); i++) {
            assert_false(row_accepts(row, bad[i]));
        }
        if (row->type == OPTION_INT) {
            assert_false(row_accepts(row, "1%"));
            assert_false(row_accepts(row, "1K"));
        }
    }
    assert_true(row_accepts(options_find("percent", 7), "75%"));
    assert_int_equal(after.percent, 75);
    assert_true(row_accepts(options_find("percent", 7), "-1%"));
    assert_int_equal(after.percent, -1);
}

static void test_units_of_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t n_bytes;
    } rows[] = {
        {"0", 0},
        {"12345", 12345},
        {"12345B", 12345},
        {"1k", 1024},
        {"1K", 1024},
        {"1KB", 1024},
        {"1KiB", 1024},
        {"1kib", 1024},
        {"3M", UINT64_C(3) << 20},
        {"3MiB", UINT64_C(3) << 20},
        {"0064m", UINT64_C(64) << 20},
        {"2G", UINT64_C(2) << 30},
        {"2gb", UINT64_C(2) << 30},
        {"128T", UINT64_C(128) << 40},
    };
    const struct option_row *row = options_find("floor", 5);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(row_accepts(row, rows[i].text));
        assert_true(after.floor_bytes == rows[i].n_bytes);
    }
    static const char *const bad[] = {"129T", "16777216T", "18014398509481984K", "9223372036854775807G", "1P",
                                      "1Ki",  "1kb1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(row_accepts(row, bad[i]));
    }
}

static void test_words_of_bools(void **state)
{
    (void)state;
    static const char *const yes[] = {"yes", "1", "on", "true", "YES", "True"};
    static const char *const no[] = {"no", "0", "off", "false", "Off"};
    static const char *const bad[] = {"", "y", "n", "2", "-1", "yess", "ye", "tru", "00", "01", "yes "};
    FOR_EACH_ROW(row)
    {
        if (row->type != OPTION_BOOL) {
            continue;
        }
        for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
            assert_true(row_accepts(row, yes[i]));
            assert_string_equal(value_text(row, &after), "yes");
        }
        for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++) {
            assert_true(row_accepts(row, no[i]));
            assert_string_equal(value_text(row, &after), "no");
        }
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
            assert_false(row_accepts(row, bad[i]));
        }
    }
}

static void test_words_of_enums(void **state)
{
    (void)state;
    FOR_EACH_ROW(row)
    {
        if (row->type != OPTION_ENUM) {
            continue;
        }
        uint32_t i = 0;
        for (; row->words[i] != NULL; i++) {
            assert_true(row_accepts(row, row->words[i]));
            assert_int_equal(*(const uint32_t *)((const char *)&after + row->offset), i);
            assert_string_equal(value_text(row, &after), row->words[i]);
        }
        assert_int_equal(i, row->hi + 1);
        assert_false(row_accepts(row, ""));
        assert_int_equal(row_accepts(row, "0"), strcmp(row->words[0], "no") == 0);
        assert_false(row_accepts(row, "no such word"));
    }
    static const char *const hugepages[][2] = {{"0", "no"}, {"off", "no"}, {"false", "no"}, {"1", "yes"}, {"on", "yes"}, {"true", "yes"}};
    for (size_t i = 0; i < sizeof(hugepages) / sizeof(hugepages[0]); i++) { /* as other options that are yes or no */
        const struct option_row *row = options_find("hugepages", 9);
        assert_true(row_accepts(row, hugepages[i][0]));
        assert_string_equal(value_text(row, &after), hugepages[i][1]);
    }
    static const char *const modes[] = {"off", "report", "explicit", "reclaim", "auto"};
    for (uint32_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        assert_true(row_accepts(options_find("mode", 4), modes[i]));
        assert_int_equal(after.mode, i);
    }
    assert_true(row_accepts(options_find("mode", 4), "OFF"));
    assert_false(row_accepts(options_find("mode", 4), "of"));
    assert_false(row_accepts(options_find("mode", 4), "offf"));
}

static void test_limit_takes_bytes_or_a_word(void **state)
{
    (void)state;
    const struct option_row *row = options_find("limit", 5);
    assert_true(row_accepts(row, "cgroup"));
    assert_true(after.limit_bytes == OPTION_LIMIT_CGROUP);
    assert_string_equal(value_text(row, &after), "cgroup");
    assert_true(row_accepts(row, "512M"));
    assert_true(after.limit_bytes == UINT64_C(512) << 20);
    assert_string_equal(value_text(row, &after), "512M");
    assert_true(row_accepts(row, "0"));
    assert_int_equal(after.limit_bytes, 0);
    assert_false(row_accepts(row, "cgroups"));
    row = options_find("profile", 7);
    assert_true(row_accepts(row, "on"));
    assert_true(after.profile_bytes == OPTION_PROFILE_ON);
    assert_string_equal(value_text(row, &after), "on");
    assert_true(row_accepts(row, "off"));
    assert_true(after.profile_bytes == OPTION_PROFILE_OFF);
    assert_string_equal(value_text(row, &after), "off");
    assert_true(row_accepts(row, "1"));
    assert_int_equal(after.profile_bytes, 1);
}

static void test_length_of_paths(void **state)
{
    (void)state;
    static char path[OPTION_PATH_MAX + 2];
    FOR_EACH_ROW(row)
    {
        if (row->type != OPTION_PATH) {
            continue;
        }
        static const size_t lengths[] = {0, 1, 2, OPTION_PATH_MAX - 2, OPTION_PATH_MAX - 1};
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            memset(path, 'p', lengths[i]);
            path[lengths[i]] = '\0';
            assert_true(row_accepts(row, path));
            assert_string_equal((const char *)&after + row->offset, path);
        }
        for (size_t len = OPTION_PATH_MAX; len <= OPTION_PATH_MAX + 1; len++) {
            memset(path, 'p', len);
            path[len] = '\0';
            assert_false(row_accepts(row, path));
        }
        assert_true(row_accepts(row, "/tmp/a=b %p")); /* everything after the first = */
        assert_string_equal((const char *)&after + row->offset, "/tmp/a=b %p");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_sound),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_defaults_written_out_are_the_defaults),
        cmocka_unit_test(test_bounds_of_numbers),
        cmocka_unit_test(test_malformed_numbers),
        cmocka_unit_test(test_units_of_bytes),
        cmocka_unit_test(test_words_of_bools),
        cmocka_unit_test(test_words_of_enums),
        cmocka_unit_test(test_limit_takes_bytes_or_a_word),
        cmocka_unit_test(test_length_of_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
