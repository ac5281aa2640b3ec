/* Which words pass the marker's filter: its vector form against a plain one, at every length. */
#include "gc/mark_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "../unit_seed.h"
#include "base/compiler.h"

static void test_filter_agrees_with_plain_words(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    uint64_t words[300], out[301], expected[300];
    const struct mark_bounds bounds[] = {{UINT64_C(0x14c000000000), 0, 0},
                                         {UINT64_C(0x14c000000000), 65536, 0},
                                         {UINT64_C(0x14c0fff00000), UINT64_C(3) << 32, 0},
                                         {UINT64_C(0x1b0080000000), 1 << 30, 0}};
    for (int round = 0; round < 20000; round++) {
        struct mark_bounds b = bounds[unit_below(&seed, N_ELEMENTS(bounds))];
        size_t n_words = unit_below(&seed, N_ELEMENTS(words)), n_expected = 0;
        for (size_t i = 0; i < n_words; i++) {
            uint64_t word = test_random(&seed);
            if (unit_below(&seed, 16) == 0)
                word = (word & ~MARK_ADDRESS_MASK) |
                       (b.base - 8 + (b.n_bytes == 0 ? 0 : word % (b.n_bytes + 16)));
            words[i] = word;
            if ((word & MARK_ADDRESS_MASK) - b.base < b.n_bytes)
                expected[n_expected++] = word;
        }
        assert_int_equal(mark_filter(b, (uintptr_t)words, n_words, out), n_expected);
        assert_memory_equal(out, expected, n_expected * sizeof(uint64_t));
    }
}

/* Words at each multiple of 4, as a packed structure may hold them. */
static void test_unaligned_words(void **state)
{
    (void)state;
    const struct mark_bounds b = {UINT64_C(0x14c000000000), 65536, 0};
    uint64_t out[64];
    uint32_t halves[40] = {0};
    const uint64_t word = b.base + 24;
    for (size_t i = 0; i + 1 < N_ELEMENTS(halves); i++) {
        memset(halves, 0, sizeof(halves));
        memcpy(&halves[i], &word, sizeof(word));
        assert_int_equal(mark_filter_unaligned(b, (uintptr_t)halves, N_ELEMENTS(halves) - 1, out), 1);
        assert_true(out[0] == word);
        assert_int_equal(mark_filter(b, (uintptr_t)halves, N_ELEMENTS(halves) / 2, out), i % 2 == 0);
    }
}

/* In blocks of malloc, at each offset and each length: wherever a word begins, it is found once, and in whole words only
 * if it lies in one. Its neighbours are no addresses. */
static void test_packed_words(void **state)
{
    (void)state;
    enum { MAX_WORDS = 300 };
    static uint32_t halves[2 * MAX_WORDS];
    static uint64_t out[2 * MAX_WORDS + 1];
    uint64_t seed = unit_seed();
    const struct mark_bounds b = {UINT64_C(0x14c0fff00000), UINT64_C(3) << 32, 0};
    for (size_t n_words = 1; n_words <= MAX_WORDS; n_words += 1 + n_words / 40)
        for (size_t at = 0; at + 1 < 2 * n_words; at++) {
            uint64_t word = b.base + unit_below(&seed, b.n_bytes);
            memset(halves, 0xff, sizeof(halves)); /* with any of these in it a word has all tags set: no address */
            memcpy(&halves[at], &word, sizeof(word));
            uint32_t n = mark_filter_packed(b, (uintptr_t)halves, n_words, out), n_found = 0;
            for (uint32_t i = 0; i < n; i++)
                n_found += out[i] == word;
            assert_int_equal(n_found, 1);
            n = mark_filter(b, (uintptr_t)halves, n_words, out);
            for (n_found = 0; n > 0; n--)
                n_found += out[n - 1] == word;
            assert_int_equal(n_found, at % 2 == 0);
        }
}

/* Against the plainest way, on words of all kinds: tags count in whole words alone. */
static void test_packed_agrees_with_plain_words(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    static uint64_t words[300], out[601], expected[600];
    const struct mark_bounds b = {UINT64_C(0x14c0fff00000), UINT64_C(3) << 32, 0};
    for (int round = 0; round < 20000; round++) {
        size_t n_words = unit_below(&seed, N_ELEMENTS(words)), n_expected = 0;
        uint64_t sum = 0, middle;
        for (size_t i = 0; i < n_words; i++)
            words[i] = test_random(&seed);
        for (size_t k = 0; 2 * k + 1 < n_words && k < 8; k++) {
            middle = b.base - 8 + unit_below(&seed, b.n_bytes + 16);
            middle |= (uint64_t)(unit_below(&seed, 4) == 0) << 60; /* tagged */
            memcpy((char *)words + 4 * unit_below(&seed, 2 * n_words - 1), &middle, sizeof(middle));
        }
        for (size_t i = 0; i < n_words; i++) {
            if ((words[i] & MARK_ADDRESS_MASK) - b.base < b.n_bytes)
                expected[n_expected++] = words[i];
            middle = i + 1 < n_words ? words[i] >> 32 | words[i + 1] << 32 : 0;
            if (middle - b.base < b.n_bytes)
                expected[n_expected++] = middle;
        }
        assert_int_equal(mark_filter_packed(b, (uintptr_t)words, n_words, out), n_expected);
        for (size_t i = 0; i < n_expected; i++)
            sum += out[i] * out[i] - expected[i] * expected[i]; /* in another order */
        assert_true(sum == 0);
    }
}

static uint64_t hide(uint64_t guard, uint64_t word)
{
    word ^= guard;
    return word << MARK_GUARD_ROTATION | word >> (64 - MARK_GUARD_ROTATION);
}

/* In a range as long as a jmp_buf's rest, wherever the word lies; without a guard none is found. */
static void test_words_hidden_by_setjmp(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    uint64_t words[300], out[301];
    for (int round = 0; round < 20000; round++) {
        struct mark_bounds b = {UINT64_C(0x14c0fff00000), UINT64_C(3) << 32, test_random(&seed) | 1};
        size_t n_words = 24 + unit_below(&seed, 270), at = unit_below(&seed, n_words);
        uint64_t word = b.base + unit_below(&seed, b.n_bytes);
        memset(words, 0, sizeof(words));
        words[at] = hide(b.guard, word);
        assert_int_equal(mark_filter(b, (uintptr_t)words, n_words, out), 1);
        assert_true(out[0] == word);
        uint32_t n = mark_filter_unaligned(b, (uintptr_t)words, 2 * n_words - 1, out);
        bool is_found = false;
        for (uint32_t i = 0; i < n; i++)
            is_found |= out[i] == word;
        assert_true(is_found); /* its halves with zeroes may look like addresses as well */
        b.guard = 0;
        assert_int_equal(mark_filter(b, (uintptr_t)words, n_words, out),
                         (words[at] & MARK_ADDRESS_MASK) - b.base < b.n_bytes);
    }
}

static void test_tags(void **state)
{
    (void)state;
    for (uint64_t high = 0; high <= 0xffff; high++) {
        uint64_t word = high << 48 | 0x1234;
        assert_true(mark_word_is_plausible(word));
        assert_int_equal(mark_word_is_plausible(word | UINT64_C(1) << 47), high >> 4 == 0xfff);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filter_agrees_with_plain_words),
        cmocka_unit_test(test_unaligned_words),
        cmocka_unit_test(test_packed_words),
        cmocka_unit_test(test_packed_agrees_with_plain_words),
        cmocka_unit_test(test_words_hidden_by_setjmp),
        cmocka_unit_test(test_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
