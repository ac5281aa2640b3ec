/* Bits and powers of two. Pure, inline. */
#ifndef BASE_BITS_H
#define BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/compiler.h"

ALWAYS_INLINE unsigned bits_ctz64(uint64_t x) /* pre: x != 0 */
{
    return (unsigned)__builtin_ctzll(x);
}
ALWAYS_INLINE unsigned bits_log2_floor(uint64_t x) /* pre: x != 0 */
{
    return 63u - (unsigned)__builtin_clzll(x);
}
/* x86-64 as such has no instruction for it, and the compiler would call a function. */
ALWAYS_INLINE unsigned bits_popcount64(uint64_t x)
{
#if defined(__x86_64__) && !defined(__POPCNT__)
    x -= (x >> 1) & UINT64_C(0x5555555555555555);
    x = (x & UINT64_C(0x3333333333333333)) + ((x >> 2) & UINT64_C(0x3333333333333333));
    x = (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return (unsigned)(x * UINT64_C(0x0101010101010101) >> 56);
#else
    return (unsigned)__builtin_popcountll(x);
#endif
}
ALWAYS_INLINE bool bits_is_pow2(uint64_t x)
{
    return x != 0 && (x & (x - 1)) == 0;
}
ALWAYS_INLINE uint64_t bits_round_up(uint64_t x, uint64_t pow2)
{
    return (x + pow2 - 1) & ~(pow2 - 1);
}
ALWAYS_INLINE uint64_t bits_round_down(uint64_t x, uint64_t pow2)
{
    return x & ~(pow2 - 1);
}
/* Sets bit i modulo 64; true: it was set before. One instruction where the compiler would make three or four. */
ALWAYS_INLINE bool bits_test_and_set64(uint64_t *bits, uint64_t i)
{
#if defined(__x86_64__)
    bool was_set;
    __asm__("btsq %q[i], %[bits]" : [bits] "+r"(*bits), "=@ccc"(was_set) : [i] "r"((uint32_t)i)); /* whatever is in the upper half */
    return was_set;
#else
    uint64_t before = *bits, bit = UINT64_C(1) << (i & 63);
    *bits = before | bit;
    return (before & bit) != 0;
#endif
}
/* Clears bit i modulo 64; true: it was set before. */
ALWAYS_INLINE bool bits_test_and_clear64(uint64_t *bits, uint64_t i)
{
#if defined(__x86_64__)
    bool was_set;
    __asm__("btrq %q[i], %[bits]" : [bits] "+r"(*bits), "=@ccc"(was_set) : [i] "r"((uint32_t)i));
    return was_set;
#else
    uint64_t before = *bits, bit = UINT64_C(1) << (i & 63);
    *bits = before & ~bit;
    return (before & bit) != 0;
#endif
}
/* The lowest bit; of 0 any number below 64, without a branch. */
ALWAYS_INLINE unsigned bits_ctz64_or_any(uint64_t x)
{
#if defined(__x86_64__)
    uint64_t i;
    __asm__("rep bsfq %[x], %[i]" : [i] "=r"(i) : [x] "r"(x) : "cc");
    return (unsigned)i & 63;
#else
    return x == 0 ? 0 : bits_ctz64(x);
#endif
}
/* The upper half of a * b; *low: the lower one. In registers of their own: gcc keeps a number of 128 bits in a pair of them, whole,
 * as long as one half is needed. */
ALWAYS_INLINE uint64_t bits_mul_high64(uint64_t a, uint64_t b, uint64_t *low)
{
#if defined(__x86_64__)
    uint64_t high;
    __asm__("mulq %[b]" : "=a"(*low), "=d"(high) : "0"(a), [b] "r"(b) : "cc");
    return high;
#else
    unsigned __int128 product = (unsigned __int128)a * b;
    *low = (uint64_t)product;
    return (uint64_t)(product >> 64);
#endif
}
/* Bits [0, n) set; n in 0..64. */
ALWAYS_INLINE uint64_t bits_low_mask(unsigned n)
{
    return n >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1;
}

#endif
