/* Addresses that Python holds as integers.
 *
 * What    a function that ctypes calls with restype = c_void_p gives an integer, of which Python keeps 30 bits in each 32: no word of
 *         it is the address. One of two digits is
 *
 *             references, type, number of digits (since 3.12 eight times that), lower digit, upper digit
 *
 *         where each but the digits has 8 bytes. So a word counts that stands behind such a number and whose upper half is the arena's bits
 *         30 to 46: next to nothing does by chance.
 * Callers roots_digits.c for what Python maps and cuts up itself, mark_distance.c for blocks of malloc (PYTHONMALLOC=malloc).
 */
#ifndef GC_DIGITS_H
#define GC_DIGITS_H

#include "base/compiler.h"
#include "heap/span.h"

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

#endif
