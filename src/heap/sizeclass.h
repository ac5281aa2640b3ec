/* Size classes: how many bytes a small block has.
 *
 * What    classes 0..71: 16 to 128 bytes by 16, then eight to each doubling up
 *         to 32 KiB, so that a block wastes at most 12.5 % from 64 bytes on.
 *         Classes 72..94 go on to 240 KiB. Such blocks are large ones, with whole
 *         slices of their own, unless addresses are short (arena_is_short).
 *         Every size is a multiple of 16; every alignment up to a class's
 *         largest power of two divisor holds for its blocks.
 * All of it is arithmetic, without tables, and checked exhaustively by the test.
 */
#ifndef HEAP_SIZECLASS_H
#define HEAP_SIZECLASS_H

#include <stddef.h>
#include <stdint.h>
#include "base/bits.h"

enum {
    SIZECLASS_N_SMALL = 72,
    SIZECLASS_N = 95,
    SIZECLASS_LARGE = 255, /* class of a span with one large block */
    SIZECLASS_ALIGN = 16,
    SIZECLASS_MAX_SMALL = 32768, /* of the last of SIZECLASS_N_SMALL */
    SIZECLASS_MAX_PACKED = 245760, /* of the last of all */
    SIZECLASS_RECIP_SIZE_BITS = 14, /* of a reciprocal: the size in units of SIZECLASS_ALIGN */
};

/* pre: 1 <= size_bytes <= SIZECLASS_MAX_PACKED (0 counts as 1). */
ALWAYS_INLINE unsigned sizeclass_of(size_t size_bytes)
{
    if (LIKELY(size_bytes <= 128))
        return (unsigned)((size_bytes - (size_bytes != 0)) >> 4);
    unsigned exponent = bits_log2_floor(size_bytes - 1); /* 7..16 */
    return 8 + (exponent - 7) * 8 + (unsigned)(((size_bytes - 1) >> (exponent - 3)) & 7);
}

ALWAYS_INLINE uint32_t sizeclass_size(unsigned class_no)
{
    if (class_no < 8)
        return (class_no + 1) * 16;
    unsigned exponent = 7 + (class_no - 8) / 8;
    return (1u << exponent) + ((class_no - 8) % 8 + 1) * (1u << (exponent - 3));
}

/* 2^64 / size, a little more, with the size itself in the lowest bits: what it is too large by, times the offset, stays
 * far below 2^64 / size for offsets up to 1 MiB. So the upper half of offset * recip is the index, and the lower half is
 * below recip exactly where the offset is a multiple of the size. */
ALWAYS_INLINE uint64_t sizeclass_recip(uint32_t size_bytes)
{
    uint64_t up = ((UINT64_C(1) << 48) + size_bytes - 1) / size_bytes;
    return up << 16 | size_bytes / SIZECLASS_ALIGN;
}

/* Slices in a span of the class: at least 8 blocks (4 beyond 128 KiB), and at most 1/32 lost at the end where 16 slices allow
 * it. */
uint32_t sizeclass_span_slices(unsigned class_no);
/* Smallest small class with size >= size_bytes whose size is a multiple of align, or SIZECLASS_N where there is none. */
unsigned sizeclass_of_aligned(size_t size_bytes, size_t align);

#endif
