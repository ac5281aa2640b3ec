/* Suppression files: which lines count, and which names a pattern matches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/suppress.h"
#include "unit_seed.h"

static bool matches(const char *pattern, const char *name)
{
    struct suppress_pattern p = {pattern, strlen(pattern)};

    return suppress_matches(&p, name);
}

static void patterns(void **state)
{
    static const struct {
        const char *pattern, *name;
        bool is_match;
    } cases[] = {
        {"plant", "plant", true},        {"plant", "my_planted", true},  {"plant", "plan", false},
        {"plant", "", false},            {"^plant", "plant_it", true},   {"^plant", "my_plant", false},
        {"plant$", "my_plant", true},    {"plant$", "plant_it", false},  {"plant$", "plant_plant", true},
        {"^plant$", "plant", true},      {"^plant$", "plants", false},   {"^plant$", "aplant", false},
        {"pl*nt", "a plunderer nt", true}, {"pl*nt", "ntpl", false},     {"*", "", true},
        {"*", "anything", true},         {"a*b*c", "xaxbxcx", true},     {"a*b*c", "acb", false},
        {"^a*c$", "abc", true},          {"^a*c$", "abcd", false},       {"^a*c$", "xabc", false},
        {"a*c$", "acbc", true},          {"^a*a$", "a", false},          {"^a*a$", "aa", true},
        {"libcrypto.so*", "/usr/lib/libcrypto.so.3", true},              {"a**b", "ab", true},
        {"^", "any", true},              {"$", "any", true},             {"^$", "", true},
        {"^$", "any", false},            {"ab$", "aab", true},           {"*ab$", "abxab", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (matches(cases[i].pattern, cases[i].name) != cases[i].is_match)
            fail_msg("%s on %s", cases[i].pattern, cases[i].name);
}

static void files(void **state)
{
    const char *text = "# a comment\n"
                       "leak:first\n"
                       "\n"
                       "race:not ours\n"
                       "  leak:with blanks \t\r\n"
                       "leak:\n"
                       "leakage:no\n"
                       "leak:last";
    static const char *const wanted[] = {"first", "with blanks", "last"};
    struct suppress_pattern p;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_true(suppress_next(&text, &p));
        assert_int_equal(p.len, strlen(wanted[i]));
        assert_memory_equal(p.at, wanted[i], p.len);
    }
    assert_false(suppress_next(&text, &p));
    text = "";
    assert_false(suppress_next(&text, &p));
}

/* Another way to the same answer, by trying everything. */
static bool slow_match(const char *p, const char *p_end, const char *name, bool is_tied, bool is_at_end)
{
    if (p == p_end)
        return !is_at_end || *name == '\0' || !is_tied;
    if (*p == '*')
        return slow_match(p + 1, p_end, name, false, is_at_end) ||
               (*name != '\0' && slow_match(p, p_end, name + 1, false, is_at_end));
    if (*name == '\0')
        return false;
    if (*p == *name && slow_match(p + 1, p_end, name + 1, true, is_at_end))
        return true;
    return !is_tied && slow_match(p, p_end, name + 1, false, is_at_end);
}

static void random_text(uint64_t *seed, char *out, size_t max, const char *letters)
{
    size_t n = unit_below(seed, max);

    for (size_t i = 0; i < n; i++)
        out[i] = letters[unit_below(seed, strlen(letters))];
    out[n] = '\0';
}

static void same_as_trying_everything(void **state)
{
    uint64_t seed = unit_seed();
    char body[8], pattern[12], name[12];
    unsigned n_matches = 0;

    (void)state;
    for (int i = 0; i < 300000; i++) {
        bool is_at_start = unit_below(&seed, 2) == 0, is_at_end = unit_below(&seed, 2) == 0;
        random_text(&seed, body, sizeof(body), "aab*");
        random_text(&seed, name, sizeof(name), "ab");
        snprintf(pattern, sizeof(pattern), "%s%s%s", is_at_start ? "^" : "", body, is_at_end ? "$" : "");
        bool wanted = slow_match(body, body + strlen(body), name, is_at_start, is_at_end);
        n_matches += wanted;
        if (matches(pattern, name) != wanted)
            fail_msg("%s on %s", pattern, name);
    }
    assert_true(n_matches > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns),
        cmocka_unit_test(files),
        cmocka_unit_test(same_as_trying_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
