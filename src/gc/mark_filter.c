/* See mark_filter.h.
 *
 * Small ranges go word by word without a branch: always store, advance by the comparison. Long ones are
 * mostly free of addresses: groups of 16 words are dismissed by their upper halves alone. Bits 32 to 46 of
 * an address of the arena lie in a range that is the same for all; 15 bits compare in vectors of four 32-bit
 * lanes, which every x86-64 and aarch64 has, so no choice at run time is needed.
 */
#include "gc/mark_filter.h"

#include <string.h>

/* A jmp_buf has 25 words; what hides in the last range of a longer one begins at most one word before it. */
enum {
    FILTER_GROUP_WORDS = 16,
    FILTER_VECTOR_MIN_WORDS = 32,
    FILTER_HIDDEN_MIN_WORDS = 24,
    FILTER_HIGH_SHIFT = 64 - MARK_ADDRESS_BITS, /* of an upper half: its 15 bits of an address come to the top */
};
#define FILTER_BIAS (UINT32_C(1) << 31)
_Static_assert((int)FILTER_HIGH_SHIFT == MARK_GUARD_ROTATION, "hidden words have these bits at the top already");

uint32_t mark_filter_n_hidden;

typedef uint32_t filter_v4 __attribute__((vector_size(16), aligned(8)));
typedef int32_t filter_v4s __attribute__((vector_size(16), aligned(8)));
typedef int64_t filter_v2 __attribute__((vector_size(16)));

ALWAYS_INLINE uint32_t filter_word(struct mark_bounds b, uint64_t word, uint64_t *out, uint32_t n)
{
    out[n] = word;
    return n + (((word & MARK_ADDRESS_MASK) - b.base) < b.n_bytes);
}

ALWAYS_INLINE uint32_t filter_plain(struct mark_bounds b, const uint64_t *p, size_t n_words, uint64_t *out,
                                    uint32_t n)
{
    for (size_t i = 0; i < n_words; i++)
        n = filter_word(b, p[i], out, n);
    return n;
}

/* The same, and what is hidden counts as well. A hidden word is compared whole. */
ALWAYS_INLINE uint32_t filter_word_hidden(struct mark_bounds b, uint64_t word, uint64_t *out, uint32_t n)
{
    uint64_t unhidden = mark_word_unhidden(b.guard, word);
    if (UNLIKELY(b.guard != 0 && unhidden - b.base < b.n_bytes)) {
        __atomic_fetch_add(&mark_filter_n_hidden, 1, __ATOMIC_RELAXED);
        word = unhidden;
    }
    return filter_word(b, word, out, n);
}

static uint32_t filter_hidden(struct mark_bounds b, const uint64_t *p, size_t n_words, uint64_t *out, uint32_t n)
{
    for (size_t i = 0; i < n_words; i++)
        n = filter_word_hidden(b, p[i], out, n);
    return n;
}

/* Some upper half h of the 16 words has its 15 bits in [first, first + n), or those of what it hides. In the
 * upper bits of a lane, where what lies above the 15 falls off and differences wrap: (h - first) < n without
 * sign, which is one signed comparison once 2^31 is taken from both sides. What lies below the 15 changes
 * nothing. base: first and 2^31; end: n less 2^31. */
ALWAYS_INLINE bool filter_group_may_pass(const uint64_t *p, filter_v4 base, filter_v4s end, filter_v4 guard)
{
    filter_v4s any = {0, 0, 0, 0};
    for (int i = 0; i < FILTER_GROUP_WORDS; i += 4) {
        filter_v4 a = *(const filter_v4 *)(p + i), c = *(const filter_v4 *)(p + i + 2);
        filter_v4 high = __builtin_shufflevector(a, c, 1, 3, 5, 7);
        any |= ((filter_v4s)((high << FILTER_HIGH_SHIFT) - base) < end) | ((filter_v4s)((high ^ guard) - base) < end);
    }
    filter_v2 wide = (filter_v2)any;
    return (wide[0] | wide[1]) != 0;
}

static uint32_t filter_long(struct mark_bounds b, const uint64_t *p, size_t n_words, uint64_t *out)
{
    uint32_t first = (uint32_t)(b.base >> 32), last = (uint32_t)((b.base + b.n_bytes - 1) >> 32);
    uint32_t lo = (first << FILTER_HIGH_SHIFT) + FILTER_BIAS;
    int32_t hi = (int32_t)(((last - first + 1) << FILTER_HIGH_SHIFT) - FILTER_BIAS);
    filter_v4 base = {lo, lo, lo, lo};
    filter_v4s end = {hi, hi, hi, hi};
    uint32_t g = (uint32_t)(b.guard >> 32) << FILTER_HIGH_SHIFT;
    filter_v4 guard = {g, g, g, g};
    uint32_t n = 0;
    size_t i = 0;
    for (; i + FILTER_GROUP_WORDS <= n_words; i += FILTER_GROUP_WORDS)
        if (filter_group_may_pass(p + i, base, end, guard))
            n = filter_hidden(b, p + i, FILTER_GROUP_WORDS, out, n);
    return filter_hidden(b, p + i, n_words - i, out, n);
}

NOINLINE uint32_t mark_filter(struct mark_bounds b, uintptr_t lo, size_t n_words, uint64_t *out)
{
    const uint64_t *p = (const uint64_t *)lo;
    if (n_words >= FILTER_VECTOR_MIN_WORDS && b.n_bytes != 0)
        return filter_long(b, p, n_words, out);
    if (UNLIKELY(n_words >= FILTER_HIDDEN_MIN_WORDS && b.guard != 0))
        return filter_hidden(b, p, n_words, out, 0);
    return filter_plain(b, p, n_words, out, 0);
}

NOINLINE uint32_t mark_filter_unaligned(struct mark_bounds b, uintptr_t lo, size_t n_words, uint64_t *out)
{
    uint32_t n = 0;
    for (size_t i = 0; i < n_words; i++) {
        uint64_t word;
        memcpy(&word, (const char *)lo + i * 4, sizeof(word));
        n = b.guard != 0 ? filter_word_hidden(b, word, out, n) : filter_word(b, word, out, n);
    }
    return n;
}
