/* Which words of a range may be addresses of the arena.
 *
 * What    copies the words whose low 47 bits lie in [base, base + n_bytes) to an array. Of memory that might be unreadable the
 *         marker itself reads small ranges (MARK_DIRECT_BYTES), typed ones, and what mark_distance.c looks at; all else here. setjmp stores one register (x86-64: rbp)
 *         rotated and xor-ed with a guard; ranges that are long enough for a jmp_buf are searched for such words, too,
 *         and what they hide is copied.
 * Invariants  each word is read once; nothing but `out` is written, so a fault in here leaves the marker
 *         whole.
 */
#ifndef GC_MARK_FILTER_H
#define GC_MARK_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/bits.h"

enum {
    MARK_ADDRESS_BITS = 47,
    MARK_BOX_SHIFT = 52,
    MARK_CHUNK_BYTES = 4096,
    MARK_CHUNK_WORDS = MARK_CHUNK_BYTES / 8
};
#define MARK_ADDRESS_MASK ((UINT64_C(1) << MARK_ADDRESS_BITS) - 1)
#define MARK_BOX_LEAST (UINT64_C(0xfff) << MARK_BOX_SHIFT)

struct mark_bounds {
    uintptr_t base;
    size_t n_bytes;
    uint64_t guard; /* os_pointer_guard(); 0: nothing is hidden by setjmp */
};

/* A word that passed the filter: with bit 47 set it is an address only in a NaN box. */
ALWAYS_INLINE bool mark_word_is_plausible(uint64_t word)
{
    return ((word >> MARK_ADDRESS_BITS) & 1) == 0 || word >> MARK_BOX_SHIFT == 0xfff;
}

/* How setjmp hides a register: rotated left by as much, after the guard was xor-ed in. */
enum { MARK_GUARD_ROTATION = 17 };
ALWAYS_INLINE uint64_t mark_word_unhidden(uint64_t guard, uint64_t word)
{
    return ((word >> MARK_GUARD_ROTATION) | (word << (64 - MARK_GUARD_ROTATION))) ^ guard;
}
/* Words that were found hidden since mark_begin: a second marker that does not look for them finds less. Atomic. */
extern uint32_t mark_filter_n_hidden;

/* out has room for n_words + 1. Returns how many passed; order is kept. pre: lo is a multiple of 8. */
uint32_t mark_filter(struct mark_bounds b, uintptr_t lo, size_t n_words, uint64_t *out);
/* The same for a block that may hold packed structures (struct epoll_event): also words that begin in the middle of one
 * and end in the next, if they are addresses as they stand, without tags. Order is not kept; out has room for
 * 2 * n_words + 1. */
uint32_t mark_filter_packed(struct mark_bounds b, uintptr_t lo, size_t n_words, uint64_t *out);
/* For words at each multiple of 4 from lo on, tagged or not. pre: lo is a multiple of 4; n_words words begin in
 * the range. */
uint32_t mark_filter_unaligned(struct mark_bounds b, uintptr_t lo, size_t n_words, uint64_t *out);

/* ---- blocks ---- */

/* A jmp_buf has 25 words; what hides in the last range of a longer one begins at most one word before it. */
enum { MARK_HIDDEN_MIN_WORDS = 24 };

typedef uint32_t mark_v4 __attribute__((vector_size(16), aligned(1))); /* executable memory is read at every byte */
typedef int32_t mark_v4s __attribute__((vector_size(16), aligned(1)));

ALWAYS_INLINE uint32_t mark_filter_word(struct mark_bounds b, uint64_t word, uint64_t *out, uint32_t n)
{
    out[n] = word;
    return n + (((word & MARK_ADDRESS_MASK) - b.base) < b.n_bytes);
}

/* The upper half of a word that begins in the middle of one is the lower half of the next. Without tags it is one of the
 * few upper halves of the arena, compared whole, and few other halves are: so all of a range is dismissed at once, or
 * looked at again. 32-bit lanes (h - first) < n without sign are one signed comparison once 2^31 is taken from both sides.
 * base: first and 2^31; end: n less 2^31. */
struct mark_halves {
    mark_v4 base;
    mark_v4s end;
};
#define MARK_LANE_BIAS (UINT32_C(1) << 31)

ALWAYS_INLINE struct mark_halves mark_halves_of(struct mark_bounds b)
{
    uint32_t first = (uint32_t)(b.base >> 32), last = (uint32_t)((b.base + b.n_bytes - 1) >> 32);
    uint32_t lo = first + MARK_LANE_BIAS;
    int32_t hi = (int32_t)(last - first + 1 - MARK_LANE_BIAS);
    return (struct mark_halves){{lo, lo, lo, lo}, {hi, hi, hi, hi}};
}

/* Words across the middle of two of these, behind the n that are in out. */
uint32_t mark_filter_middles(struct mark_bounds b, const uint64_t *p, size_t n_words, uint64_t *out, uint32_t n);

/* mark_filter or mark_filter_packed, for what is mostly a small block: those have an even number of words, and no branch
 * but the loop's. */
ALWAYS_INLINE uint32_t mark_filter_block(const struct mark_bounds *bounds, uintptr_t lo, size_t n_words, uint64_t *out,
                                         bool is_packed)
{
    if (UNLIKELY(n_words >= MARK_HIDDEN_MIN_WORDS || n_words % 2 != 0))
        return is_packed ? mark_filter_packed(*bounds, lo, n_words, out) : mark_filter(*bounds, lo, n_words, out);
    const struct mark_bounds b = *bounds;
    const struct mark_halves halves = mark_halves_of(b);
    const uint64_t *p = (const uint64_t *)lo, *end = p + n_words;
    mark_v4s any = {0, 0, 0, 0};
    uint32_t n = 0;
    for (; p < end; p += 2) {
        if (is_packed)
            any |= (mark_v4s)(*(const mark_v4 *)p - halves.base) < halves.end;
        n = mark_filter_word(b, p[0], out, n);
        n = mark_filter_word(b, p[1], out, n);
    }
    return is_packed && UNLIKELY((any[0] | any[2]) != 0) ? mark_filter_middles(b, end - n_words, n_words, out, n) : n;
}

#endif
