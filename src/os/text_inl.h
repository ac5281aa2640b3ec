/* Numbers in the texts of /proc. Not part of the contract. */
#ifndef OS_TEXT_INL_H
#define OS_TEXT_INL_H

#include <stdint.h>

#include "base/compiler.h"

ALWAYS_INLINE unsigned text_digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

/* Value of the digits at p (none: 0), base 10 or 16, modulo 2^64; returns where they end. */
static inline const char *text_number(const char *p, unsigned base, uint64_t *out)
{
    uint64_t v = 0;

    for (; text_digit(*p) < base; p++)
        v = v * base + text_digit(*p);
    *out = v;
    return p;
}

#endif
