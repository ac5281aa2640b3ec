/* What lies inside blocks: which words may be pointers, and where tiny parts begin.
 *
 * What    a span of small blocks of flavor TYPED has one bit per word: the word may hold a pointer. One of flavor TINY
 *         has one byte per block, bit i of it for bytes 4 * i and on: a part begins here, or the room behind the last
 *         part; so each part's length is known. (Four bits would do; a byte needs no shifting on the fast path.) A large
 *         block of flavor TYPED has its type, whose bits repeat from object to object.
 * Owns    the bits, in meta, from span_new to span_delete; types, which are never freed.
 * Locks   none: the owner of a span writes them while it hands out a block, the collector reads them while stopped.
 *         Bits of a block that is not handed out mean nothing.
 */
#ifndef HEAP_LAYOUT_H
#define HEAP_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "heap/span.h"

enum {
    LAYOUT_WORD = 8,          /* bytes per bit in spans of typed blocks */
    LAYOUT_PART = 4,          /* bytes per bit of tiny parts */
    LAYOUT_TINY_MAX = 12,     /* bytes of the longest part */
    LAYOUT_TINY_BLOCK = 16,
};

/* One object of a type, in full; rounded up to words. */
struct heap_type {
    size_t size_bytes; /* as asked for; the distance of objects in an array */
    size_t n_words;
    uint64_t bits[]; /* (n_words + 63) / 64; bit i: word i may hold a pointer */
};
/* Bits all zero, to be set before the type is first used. NULL: no memory. Critical section. */
struct heap_type *layout_type_new(size_t size_bytes);

/* ---- for span.c ---- */
bool layout_begin(struct span *s); /* false: no memory */
void layout_end(struct span *s);

/* ---- typed blocks ---- */
/* n_objects objects of the type lie from addr on, and behind them no pointer. pre: the calling thread was just handed
 * the block. */
void layout_set_type(struct span *s, uintptr_t addr, const struct heap_type *type, size_t n_objects);
/* Bit i: the word at addr + 8 * i may hold a pointer; up to 64, none beyond the block. pre: addr is a multiple of 8 in a
 * block of flavor TYPED. */
uint64_t layout_pointer_bits(const struct span *s, uintptr_t addr);

/* ---- tiny parts ---- */
ALWAYS_INLINE uint8_t *layout_parts(const struct span *s, uintptr_t addr)
{
    return (uint8_t *)s->layout + (addr - s->start) / LAYOUT_TINY_BLOCK;
}
/* The bits for a part of part_bytes, at most 12 and a multiple of 4, at addr, and for what is behind it. */
ALWAYS_INLINE unsigned layout_part_bits(uintptr_t addr, size_t part_bytes)
{
    return (1 + (1u << (part_bytes / LAYOUT_PART))) << (addr % LAYOUT_TINY_BLOCK / LAYOUT_PART);
}
bool layout_is_part(const struct span *s, uintptr_t addr);
size_t layout_part_bytes(const struct span *s, uintptr_t addr); /* from addr to the next part, or the block's end */

#endif
