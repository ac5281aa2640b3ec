/* Addresses that no word holds, but that a library's way of writing them tells.
 *
 * Digits  Python's integers: a function that ctypes calls with restype = c_void_p gives one, of which Python keeps 30 bits in each 32.
 *         One of two digits is
 *
 *             references, type, number of digits (since 3.12 eight times that), lower digit, upper digit
 *
 *         where each but the digits has 8 bytes. So a word counts that stands behind such a number and whose upper half is the arena's bits
 *         30 to 46: next to nothing does by chance.
 * Segment LuaJIT's light userdata: 17 bits of type (the same for all), 8 bits that number the upper bits of addresses which it has met, and the
 *         lower 39 bits of the address. The arena lies in one or two of those segments, so the number need not be known.
 * Callers roots_disguise.c for what such a runtime maps and cuts up itself, mark_distance.c for blocks of malloc (PYTHONMALLOC=malloc;
 *         lua_newstate with an allocator of the program's).
 */
#ifndef GC_DISGUISE_H
#define GC_DISGUISE_H

#include "base/compiler.h"
#include "heap/span.h"

enum {
    DISGUISE_DISTANCE = 1 << 0, /* fontconfig's: mark_distance.c */
    DISGUISE_DIGITS = 1 << 1,
    DISGUISE_SEGMENT = 1 << 2,
};

enum {
    DIGITS_SHIFT = 30,
    DIGITS_N = 2,            /* of an address */
    DIGITS_N_TAGGED = 2 * 8, /* since Python 3.12, with the sign below */
};

/* The address in the arena, or 0. */
ALWAYS_INLINE uintptr_t digits_address(uint64_t before, uint64_t word)
{
    uintptr_t addr = (uintptr_t)(word >> 32 << DIGITS_SHIFT | (uint32_t)word);
    bool is_digit = (uint32_t)word >> DIGITS_SHIFT == 0;

    if ((before != DIGITS_N && before != DIGITS_N_TAGGED) || !is_digit || addr - heap_map.arena_base >= heap_map.arena_bytes)
        return 0;
    return addr;
}

enum {
    SEGMENT_BITS = 39, /* of the address */
    SEGMENT_TYPE_SHIFT = 47,
    SEGMENT_TYPE = 0x1fffc,
};

/* The first address in the arena that the word may stand for, or 0. */
ALWAYS_INLINE uintptr_t segment_address(uint64_t word)
{
    const uint64_t low = word & ((UINT64_C(1) << SEGMENT_BITS) - 1);
    uintptr_t addr = (uintptr_t)(heap_map.arena_base >> SEGMENT_BITS << SEGMENT_BITS | low);

    if (word >> SEGMENT_TYPE_SHIFT != SEGMENT_TYPE)
        return 0;
    if (addr < heap_map.arena_base)
        addr += UINT64_C(1) << SEGMENT_BITS;
    return addr - heap_map.arena_base < heap_map.arena_bytes ? addr : 0;
}

/* The next one, or 0. */
ALWAYS_INLINE uintptr_t segment_next(uintptr_t addr)
{
    addr += UINT64_C(1) << SEGMENT_BITS;
    return addr - heap_map.arena_base < heap_map.arena_bytes ? addr : 0;
}

#endif
