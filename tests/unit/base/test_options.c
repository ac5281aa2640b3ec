/* The parser of GCMALLOC=...: items, lines for bad ones word for word, and text made of anything. */
#include "base/options.h"

#include "options_harness.h"
#include "unit_seed.h"

/* Parse on top of the defaults; as many lines as bad items. */
static size_t parse(const char *text)
{
    start_telling();
    defaults_into(&before);
    defaults_into(&after);
    size_t n_bad = options_parse(text, &after, tell, &n_told);
    assert_int_equal(n_bad, n_told);
    return n_bad;
}

static void test_items(void **state)
{
    (void)state;
    assert_int_equal(parse(""), 0);
    assert_unchanged();
    assert_int_equal(parse(",,  ,\t,"), 0);
    assert_unchanged();
    assert_int_equal(parse("percent=50"), 0);
    assert_int_equal(after.percent, 50);
    assert_int_equal(parse(" percent=50 ,\tfloor=1G,mode=off,"), 0);
    assert_int_equal(after.percent, 50);
    assert_int_equal(after.floor_bytes, 1 << 30);
    assert_int_equal(after.mode, OPTION_MODE_OFF);
    assert_int_equal(parse("percent=50,percent=60"), 0);
    assert_int_equal(after.percent, 60);
}

static void test_bad_items_do_not_touch_the_good(void **state)
{
    (void)state;
    assert_int_equal(parse("percent=50,nonsense=1,mode=sideways,floor=1G,percent=x,percent"), 4);
    assert_int_equal(after.percent, 50);
    assert_int_equal(after.mode, OPTION_MODE_AUTO);
    assert_int_equal(after.floor_bytes, 1 << 30);
}

static void test_parse_applies_on_top(void **state)
{
    (void)state;
    defaults_into(&after);
    assert_int_equal(options_parse("percent=50", &after, NULL, NULL), 0);
    assert_int_equal(options_parse("floor=1K,bad=1", &after, NULL, NULL), 1);
    assert_int_equal(after.percent, 50);
    assert_int_equal(after.floor_bytes, 1024);
}

static void test_lines_word_for_word(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"percent=abc", "percent=abc: expected an integer from -1 to 100000"},
        {"percent=", "percent=: expected an integer from -1 to 100000"},
        {"percent", "percent: no value; expected an integer from -1 to 100000"},
        {"mode=sideways", "mode=sideways: expected off, report, explicit, reclaim or auto"},
        {"floor=64X", "floor=64X: expected bytes, such as 64M, from 0 to 128T"},
        {"limit=all", "limit=all: expected cgroup or bytes, such as 64M, from 0 to 128T"},
        {"percent=a\x1b[1m\xff\nb", "percent=a?[1m??b: expected an integer from -1 to 100000"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char expected[512];
        snprintf(expected, sizeof(expected), "libgcmalloc: option %s\n", rows[i][1]);
        assert_int_equal(parse(rows[i][0]), 1);
        assert_string_equal(told, expected);
        assert_unchanged();
    }
}

/* An unknown name is answered with all known ones, on one line that holds them all. */
static void test_unknown_names(void **state)
{
    (void)state;
    static const char *const unknown[] = {"nonsense=1", "nonsense",  "=",        "=1",
                                          "Mode=off",   "mode =off", "percent:1"};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        assert_int_equal(parse(unknown[i]), 1);
        assert_unchanged();
        char expected[1024] = "libgcmalloc: option ";
        strcat(strcat(expected, unknown[i]), ": unknown; known are");
        FOR_EACH_ROW(row)
        {
            strcat(strcat(expected, " "), row->name);
        }
        strcat(expected, "\n");
        assert_string_equal(told, expected);
    }
}

static void test_long_text_is_shortened_in_lines(void **state)
{
    (void)state;
    char text[3000];
    memset(text, 'v', sizeof(text));
    memcpy(text, "percent=", 8);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(parse(text), 1);
    char expected[512] = "libgcmalloc: option percent=";
    memset(expected + strlen(expected), 'v', 64);
    strcat(expected, "...: expected an integer from -1 to 100000\n");
    assert_string_equal(told, expected);
    memset(text, 'k', sizeof(text) - 1);
    assert_int_equal(parse(text), 1);
    assert_non_null(strstr(told, "kkk...: unknown; known are "));
}

/* ---- anything ------------------------------------------------------------------ */

/* Every field within its bounds, whatever came. */
static void assert_sound(const struct options *o)
{
    FOR_EACH_ROW(row)
    {
        const char *field = (const char *)o + row->offset;
        switch (row->type) {
        case OPTION_BOOL:
            assert_true(*(const unsigned char *)field <= 1);
            break;
        case OPTION_INT:
        case OPTION_PERCENT:
            assert_in_range(*(const int32_t *)field - row->lo, 0, row->hi - row->lo);
            break;
        case OPTION_ENUM:
            assert_in_range(*(const uint32_t *)field, 0, row->hi);
            break;
        case OPTION_LIMIT:
            if (*(const uint64_t *)field > INT64_MAX) { /* a word */
                assert_non_null(row->words[UINT64_MAX - *(const uint64_t *)field]);
                break;
            }
            /* fallthrough */
        case OPTION_BYTES:
            assert_true(*(const uint64_t *)field <= (uint64_t)row->hi);
            break;
        case OPTION_PATH:
            assert_non_null(memchr(field, '\0', OPTION_PATH_MAX));
            break;
        default:
            fail();
        }
    }
}

static size_t put_random_piece(uint64_t *seed, char *at)
{
    static const char *const pieces[] = {
        "=", ",", "-", "%", "K", "GiB", "yes", "off", "cgroup", "99999999999999999999", " "};
    const struct option_row *row = options_row(unit_below(seed, options_n_rows()));
    switch (unit_below(seed, 5)) {
    case 0:
        strcpy(at, row->name);
        strcat(at, "=");
        break;
    case 1:
        strcpy(at, pieces[unit_below(seed, sizeof(pieces) / sizeof(pieces[0]))]);
        break;
    case 2:
        sprintf(at, "%" PRId64, (int64_t)(test_random(seed) >> unit_below(seed, 64)));
        break;
    case 3:
        strcpy(at, row->words != NULL ? row->words[0] : ",");
        break;
    default:
        at[0] = (char)(1 + unit_below(seed, 255));
        at[1] = '\0';
        break;
    }
    return strlen(at);
}

/* The text lies on the heap at its exact size, so that a sanitizer sees a read beyond it. */
static void parse_exactly(const char *text, size_t len)
{
    char *copy = malloc(len + 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    copy[len] = '\0';
    parse(copy);
    free(copy);
    assert_sound(&after);
}

static void test_random_bytes(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    char text[4096];
    for (unsigned round = 0; round < 20000; round++) {
        size_t len = unit_below(&seed, round % 100 == 0 ? sizeof(text) : 40);
        for (size_t i = 0; i < len; i++) {
            text[i] = (char)test_random(&seed);
        }
        parse_exactly(text, len);
    }
}

static void test_random_pieces(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    char text[4096];
    for (unsigned round = 0; round < 20000; round++) {
        size_t len = 0;
        size_t n_pieces = unit_below(&seed, 30);
        for (size_t i = 0; i < n_pieces; i++) {
            len += put_random_piece(&seed, text + len);
        }
        parse_exactly(text, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_bad_items_do_not_touch_the_good),
        cmocka_unit_test(test_parse_applies_on_top),
        cmocka_unit_test(test_lines_word_for_word),
        cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_long_text_is_shortened_in_lines),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_random_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
