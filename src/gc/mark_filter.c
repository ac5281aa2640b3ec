/* See mark_filter.h.
 *
 * Small ranges go word by word without a branch: always store, advance by the comparison. Long ones are
 * mostly free of addresses: groups of 16 words are dismissed by their upper halves alone. Bits 32 to 46 of
 * an address of the arena lie in a range that is the same for all; 15 bits compare in vectors of four 32-bit
 * lanes, which every x86-64 and aarch64 has, so no choice at run time is needed.
 */
#include "gc/mark_filter.h"

#include <string.h>

enum {
    FILTER_GROUP_WORDS = 16,
    FILTER_AHEAD_WORDS = 192, /* beyond the page, where the processor does not look by itself */
    FILTER_VECTOR_MIN_WORDS = 32,
    FILTER_HIGH_SHIFT = 64 - MARK_ADDRESS_BITS, /* of an upper half: its 15 bits of an address come to the top */
};
_Static_assert((int)FILTER_HIGH_SHIFT == MARK_GUARD_ROTATION, "hidden words have these bits at the top already");

uint32_t mark_filter_n_hidden;

typedef int64_t filter_v2 __attribute__((vector_size(16)));

ALWAYS_INLINE uint32_t filter_plain(struct mark_bounds b, const uint64_t *p, size_t n_words, uint64_t *out,
                                    uint32_t n)
{
    for (size_t i = 0; i < n_words; i++)
        n = mark_filter_word(b, p[i], out, n);
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
    return mark_filter_word(b, word, out, n);
}

static uint32_t filter_hidden(struct mark_bounds b, const uint64_t *p, size_t n_words, uint64_t *out, uint32_t n)
{
    for (size_t i = 0; i < n_words; i++)
        n = filter_word_hidden(b, p[i], out, n);
    return n;
}

/* ---- words that begin in the middle of one --------------------------------------------------------------------- */

NOINLINE uint32_t mark_filter_middles(struct mark_bounds b, const uint64_t *p, size_t n_words, uint64_t *out,
                                      uint32_t n)
{
    for (size_t i = 0; i + 1 < n_words; i++) {
        uint64_t word = p[i] >> 32 | p[i + 1] << 32;
        out[n] = word;
        n += word - b.base < b.n_bytes;
    }
    return n;
}

/* ---- long ranges ------------------------------------------------------------------------------------------------ */

/* Some upper half h of the 16 words has its 15 bits in [first, first + n), or those of what it hides. In the
 * upper bits of a lane, where what lies above the 15 falls off and differences wrap: (h - first) < n without
 * sign, which is one signed comparison once 2^31 is taken from both sides. What lies below the 15 changes
 * nothing. base: first and 2^31; end: n less 2^31. */
struct filter_group {
    mark_v4 base;
    mark_v4s end;
    mark_v4 guard;
    struct mark_halves halves;
};

static struct filter_group filter_group_of(struct mark_bounds b)
{
    uint32_t first = (uint32_t)(b.base >> 32), last = (uint32_t)((b.base + b.n_bytes - 1) >> 32);
    uint32_t lo = (first << FILTER_HIGH_SHIFT) + MARK_LANE_BIAS;
    int32_t hi = (int32_t)(((last - first + 1) << FILTER_HIGH_SHIFT) - MARK_LANE_BIAS);
    uint32_t g = (uint32_t)(b.guard >> 32) << FILTER_HIGH_SHIFT;
    return (struct filter_group){{lo, lo, lo, lo}, {hi, hi, hi, hi}, {g, g, g, g}, mark_halves_of(b)};
}

ALWAYS_INLINE bool filter_group_may_pass(const struct filter_group *g, const uint64_t *p, bool is_packed)
{
    mark_v4s any = {0, 0, 0, 0};
    for (int i = 0; i < FILTER_GROUP_WORDS; i += 4) {
        mark_v4 a = *(const mark_v4 *)(p + i), c = *(const mark_v4 *)(p + i + 2);
        mark_v4 high = __builtin_shufflevector(a, c, 1, 3, 5, 7);
        any |= (mark_v4s)((high << FILTER_HIGH_SHIFT) - g->base) < g->end;
        any |= (mark_v4s)((high ^ g->guard) - g->base) < g->end;
        if (is_packed)
            any |= (mark_v4s)(__builtin_shufflevector(a, c, 0, 2, 4, 6) - g->halves.base) < g->halves.end;
    }
    filter_v2 wide = (filter_v2)any;
    return (wide[0] | wide[1]) != 0;
}

/* The last n_words of a range whose words before them number n_before. */
ALWAYS_INLINE uint32_t filter_piece(struct mark_bounds b, const uint64_t *p, size_t n_words, size_t n_before,
                                    uint64_t *out, uint32_t n, bool is_packed)
{
    size_t back = n_before != 0;
    n = filter_hidden(b, p, n_words, out, n);
    return is_packed ? mark_filter_middles(b, p - back, n_words + back, out, n) : n;
}

ALWAYS_INLINE uint32_t filter_long(struct mark_bounds b, const uint64_t *p, size_t n_words, uint64_t *out,
                                   bool is_packed)
{
    struct filter_group g = filter_group_of(b);
    uint32_t n = 0;
    size_t i = 0;
    for (; i + FILTER_GROUP_WORDS <= n_words; i += FILTER_GROUP_WORDS) {
        __builtin_prefetch(p + i + FILTER_AHEAD_WORDS);
        __builtin_prefetch(p + i + FILTER_AHEAD_WORDS + FILTER_GROUP_WORDS / 2);
        if (filter_group_may_pass(&g, p + i, is_packed))
            n = filter_piece(b, p + i, FILTER_GROUP_WORDS, i, out, n, is_packed);
    }
    return filter_piece(b, p + i, n_words - i, i, out, n, is_packed);
}

/* ---- by length -------------------------------------------------------------------------------------------------- */

NOINLINE uint32_t mark_filter(struct mark_bounds b, uintptr_t lo, size_t n_words, uint64_t *out)
{
    const uint64_t *p = (const uint64_t *)lo;
    if (n_words >= FILTER_VECTOR_MIN_WORDS && b.n_bytes != 0)
        return filter_long(b, p, n_words, out, false);
    if (UNLIKELY(n_words >= MARK_HIDDEN_MIN_WORDS && b.guard != 0))
        return filter_hidden(b, p, n_words, out, 0);
    return filter_plain(b, p, n_words, out, 0);
}

NOINLINE uint32_t mark_filter_packed(struct mark_bounds b, uintptr_t lo, size_t n_words, uint64_t *out)
{
    const uint64_t *p = (const uint64_t *)lo;
    if (UNLIKELY(b.n_bytes == 0))
        return 0;
    if (n_words >= FILTER_VECTOR_MIN_WORDS)
        return filter_long(b, p, n_words, out, true);
    if (n_words >= MARK_HIDDEN_MIN_WORDS && b.guard != 0)
        return filter_piece(b, p, n_words, 0, out, 0, true);
    return mark_filter_middles(b, p, n_words, out, filter_plain(b, p, n_words, out, 0));
}

/* ---- at each multiple of 4 -------------------------------------------------------------------------------------- */

static uint32_t filter_fours(struct mark_bounds b, uintptr_t lo, size_t n_words, uint64_t *out, uint32_t n)
{
    for (size_t i = 0; i < n_words; i++) {
        uint64_t word;
        memcpy(&word, (const char *)lo + i * sizeof(uint32_t), sizeof(word));
        n = filter_word_hidden(b, word, out, n);
    }
    return n;
}

/* The upper halves of the words of a group: each half from lo on is one. */
ALWAYS_INLINE bool filter_fours_may_pass(const struct filter_group *g, uintptr_t lo)
{
    mark_v4s any = {0, 0, 0, 0};
    for (size_t i = 0; i < FILTER_GROUP_WORDS; i += 4) {
        mark_v4 high = *(const mark_v4 *)(lo + i * sizeof(uint32_t));
        any |= (mark_v4s)((high << FILTER_HIGH_SHIFT) - g->base) < g->end;
        any |= (mark_v4s)((high ^ g->guard) - g->base) < g->end;
    }
    filter_v2 wide = (filter_v2)any;
    return (wide[0] | wide[1]) != 0;
}

NOINLINE uint32_t mark_filter_unaligned(struct mark_bounds b, uintptr_t lo, size_t n_words, uint64_t *out)
{
    const struct filter_group g = filter_group_of(b);
    uint32_t n = 0;
    size_t i = 0;
    if (UNLIKELY(b.n_bytes == 0))
        return 0;
    for (; i + FILTER_GROUP_WORDS <= n_words; i += FILTER_GROUP_WORDS, lo += FILTER_GROUP_WORDS * sizeof(uint32_t))
        if (filter_fours_may_pass(&g, lo + sizeof(uint32_t)))
            n = filter_fours(b, lo, FILTER_GROUP_WORDS, out, n);
    return filter_fours(b, lo, n_words - i, out, n);
}
