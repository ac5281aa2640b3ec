/* See mark_filter.h.
 *
 * Small ranges go word by word without a branch: always store, advance by the comparison. Long ones are
 * mostly free of addresses: groups of 16 words are dismissed by their upper halves alone. Bits 32 to 46 of
 * an address of the arena lie in a range that is the same for all; 15 bits compare in vectors of four 32-bit
 * lanes, which every x86-64 and aarch64 has, so no choice at run time is needed.
 */
#include "gc/mark_filter.h"

#include <string.h>

#include "base/compiler.h"

/* A jmp_buf has 25 words; what hides in the last range of a longer one begins at most one word before it. */
enum { FILTER_GROUP_WORDS = 16, FILTER_VECTOR_MIN_WORDS = 32, FILTER_HIDDEN_MIN_WORDS = 24, FILTER_HIGH_MASK = 0x7fff };

uint32_t mark_filter_n_hidden;

typedef int32_t filter_v4 __attribute__((vector_size(16), aligned(8)));
typedef uint32_t filter_u4 __attribute__((vector_size(16)));
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

ALWAYS_INLINE bool filter_is_any(filter_v4 lanes)
{
    filter_v2 wide = (filter_v2)lanes;
    return (wide[0] | wide[1]) != 0;
}

struct filter_lanes {
    filter_v4 lo, span, guard;
};

/* Upper halves in [lo, lo + span). is_single: span is 1. */
ALWAYS_INLINE filter_v4 filter_lanes_pass(struct filter_lanes l, filter_v4 high, bool is_single)
{
    const filter_v4 zero = {0, 0, 0, 0};
    filter_v4 distance = high - l.lo;
    return is_single ? distance == zero : (distance >= zero) & (distance < l.span);
}

/* 16 words: dismissed where no upper half may pass, nor that of what a word hides. */
ALWAYS_INLINE uint32_t filter_group(struct mark_bounds b, struct filter_lanes l, const uint64_t *p, uint64_t *out,
                                    uint32_t n, bool is_single)
{
    const filter_v4 mask = {FILTER_HIGH_MASK, FILTER_HIGH_MASK, FILTER_HIGH_MASK, FILTER_HIGH_MASK};
    filter_v4 plain = {0, 0, 0, 0}, hidden = {0, 0, 0, 0};
    for (int i = 0; i < FILTER_GROUP_WORDS; i += 4) {
        filter_v4 a = *(const filter_v4 *)(p + i), c = *(const filter_v4 *)(p + i + 2);
        filter_v4 high = __builtin_shufflevector(a, c, 1, 3, 5, 7);
        plain |= filter_lanes_pass(l, high & mask, is_single);
        hidden |= filter_lanes_pass(l, (filter_v4)((filter_u4)high >> MARK_GUARD_ROTATION) ^ l.guard, is_single);
    }
    if (UNLIKELY(filter_is_any(hidden)))
        return filter_hidden(b, p, FILTER_GROUP_WORDS, out, n);
    return filter_is_any(plain) ? filter_plain(b, p, FILTER_GROUP_WORDS, out, n) : n;
}

/* is_single: all addresses have the same upper half. */
ALWAYS_INLINE uint32_t filter_groups(struct mark_bounds b, const uint64_t *p, size_t n_words, uint64_t *out, bool is_single)
{
    int32_t first = (int32_t)(b.base >> 32), last = (int32_t)((b.base + b.n_bytes - 1) >> 32);
    int32_t n_high = last - first + 1, g = (int32_t)((b.guard >> 32) & FILTER_HIGH_MASK);
    struct filter_lanes l = {{first, first, first, first}, {n_high, n_high, n_high, n_high}, {g, g, g, g}};
    uint32_t n = 0;
    size_t i = 0;
    for (; i + FILTER_GROUP_WORDS <= n_words; i += FILTER_GROUP_WORDS)
        n = filter_group(b, l, p + i, out, n, is_single);
    return filter_hidden(b, p + i, n_words - i, out, n);
}

static uint32_t filter_long(struct mark_bounds b, const uint64_t *p, size_t n_words, uint64_t *out)
{
    if (LIKELY(b.base >> 32 == (b.base + b.n_bytes - 1) >> 32))
        return filter_groups(b, p, n_words, out, true);
    return filter_groups(b, p, n_words, out, false);
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
