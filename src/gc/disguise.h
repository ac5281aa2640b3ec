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
 * Fixnum  Ruby's integers: n is the word 2n + 1. Only its library Fiddle calls C with them; for all of Ruby, collections took twice as long.
 * Callers roots_feed.c for what such a runtime maps and cuts up itself, mark_distance.c for blocks of malloc (PYTHONMALLOC=malloc; lua_newstate
 *         with an allocator of the program's; Ruby's tables).
 */
#ifndef GC_DISGUISE_H
#define GC_DISGUISE_H

#include <stdint.h>

enum {
    DISGUISE_DISTANCE = 1 << 0, /* fontconfig's: mark_distance.c */
    DISGUISE_DIGITS = 1 << 1,
    DISGUISE_SEGMENT = 1 << 2,
    DISGUISE_FIXNUM = 1 << 3,
};

/* Hands each address of the arena that a word of [lo, hi) has in one of these ways (none: DISGUISE_DISTANCE) to found, and where that word
 * lies. Reads memory: may fault. */
typedef void (*disguise_found)(uintptr_t addr, uintptr_t at, void *ctx);
void disguise_find(unsigned disguises, uintptr_t lo, uintptr_t hi, disguise_found found, void *ctx);

#endif
