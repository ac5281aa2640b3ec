/* Bits in an array of uint64_t: bit i is bit i % 64 of word i / 64.
 *
 * Pure and inline. Bits at and beyond n_bits in the last word are the caller's;
 * no function here changes or counts them.
 * Not here  atomic access: who shares a bitmap says how, at its own field.
 */
#ifndef BASE_BITMAP_H
#define BASE_BITMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/bits.h"

#define BITMAP_NONE SIZE_MAX
enum {
    BITMAP_WORD_BITS = 64,
};

ALWAYS_INLINE size_t bitmap_n_words(size_t n_bits)
{
    return n_bits / BITMAP_WORD_BITS + (n_bits % BITMAP_WORD_BITS != 0);
}
ALWAYS_INLINE uint64_t bitmap_bit(size_t i)
{
    return UINT64_C(1) << (i % BITMAP_WORD_BITS);
}
ALWAYS_INLINE bool bitmap_test(const uint64_t *map, size_t i)
{
    return (map[i / BITMAP_WORD_BITS] & bitmap_bit(i)) != 0;
}
ALWAYS_INLINE void bitmap_set(uint64_t *map, size_t i)
{
    map[i / BITMAP_WORD_BITS] |= bitmap_bit(i);
}
ALWAYS_INLINE void bitmap_clear(uint64_t *map, size_t i)
{
    map[i / BITMAP_WORD_BITS] &= ~bitmap_bit(i);
}

/* The part of [first, end) that lies in the word of `first`, as a mask of that
 * word; its length goes to *n. pre: first < end. */
ALWAYS_INLINE uint64_t bitmap_head_mask(size_t first, size_t end, size_t *n)
{
    size_t room = BITMAP_WORD_BITS - first % BITMAP_WORD_BITS;
    *n = end - first < room ? end - first : room;
    return bits_low_mask((unsigned)*n) << (first % BITMAP_WORD_BITS);
}

static inline void bitmap_set_range(uint64_t *map, size_t first, size_t n_bits)
{
    size_t step;
    for (size_t end = first + n_bits; first < end; first += step) {
        uint64_t mask = bitmap_head_mask(first, end, &step);
        map[first / BITMAP_WORD_BITS] |= mask;
    }
}

static inline void bitmap_clear_range(uint64_t *map, size_t first, size_t n_bits)
{
    size_t step;
    for (size_t end = first + n_bits; first < end; first += step) {
        uint64_t mask = bitmap_head_mask(first, end, &step);
        map[first / BITMAP_WORD_BITS] &= ~mask;
    }
}

static inline size_t bitmap_count_range(const uint64_t *map, size_t first, size_t n_bits)
{
    size_t count = 0;
    size_t step;
    for (size_t end = first + n_bits; first < end; first += step) {
        uint64_t mask = bitmap_head_mask(first, end, &step);
        count += bits_popcount64(map[first / BITMAP_WORD_BITS] & mask);
    }
    return count;
}

static inline size_t bitmap_count(const uint64_t *map, size_t n_bits)
{
    return bitmap_count_range(map, 0, n_bits);
}

/* First bit in [from, n_bits) whose value differs from those of `flip`: flip all
 * zero finds set bits, all ones finds clear ones. n_bits when there is none. */
static inline size_t bitmap_scan(const uint64_t *map, size_t n_bits, size_t from, uint64_t flip)
{
    size_t step;
    for (; from < n_bits; from += step) {
        uint64_t mask = bitmap_head_mask(from, n_bits, &step);
        uint64_t hit = (map[from / BITMAP_WORD_BITS] ^ flip) & mask;
        if (hit != 0) {
            return bits_round_down(from, BITMAP_WORD_BITS) + bits_ctz64(hit);
        }
    }
    return n_bits;
}

/* First set bit in [from, n_bits), or n_bits. */
static inline size_t bitmap_next_set(const uint64_t *map, size_t n_bits, size_t from)
{
    return bitmap_scan(map, n_bits, from, 0);
}

/* First clear bit in [from, n_bits), or n_bits. */
static inline size_t bitmap_next_clear(const uint64_t *map, size_t n_bits, size_t from)
{
    return bitmap_scan(map, n_bits, from, ~UINT64_C(0));
}

/* Lowest i in [from, n_bits - run] with `run` clear bits from i on, or
 * BITMAP_NONE. It does not wrap round: a caller whose `from` is a mere hint asks
 * again from 0. pre: run > 0. */
static inline size_t bitmap_find_clear_run(const uint64_t *map, size_t n_bits, size_t run, size_t from)
{
    while (from < n_bits) {
        size_t first = bitmap_next_clear(map, n_bits, from);
        if (run > n_bits - first) {
            break;
        }
        /* Looking no further than needed keeps a search in an empty map short. */
        from = bitmap_next_set(map, first + run, first);
        if (from == first + run) {
            return first;
        }
    }
    return BITMAP_NONE;
}

#endif
