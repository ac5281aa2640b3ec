/* -mean * ln(u) for u even in (0, 1], with the logarithm by repeated squaring. */
#include "base/geometric.h"

#include "base/bits.h"

enum { GEOMETRIC_FRACTION_BITS = 16 };
#define GEOMETRIC_LN2_32 UINT64_C(2977044472) /* ln 2, times 2^32 */

static uint64_t geometric_random(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * UINT64_C(0x2545f4914f6cdd1d);
}

/* log2(x) in units of 2^-16, cut off. pre: x > 0. */
static uint64_t geometric_log2(uint64_t x)
{
    unsigned whole = bits_log2_floor(x);
    uint64_t y = whole >= 31 ? x >> (whole - 31) : x << (31 - whole); /* in [1, 2), times 2^31 */
    uint64_t log = whole;

    for (int i = 0; i < GEOMETRIC_FRACTION_BITS; i++) {
        y = y * y >> 31;
        log = log << 1 | y >> 32;
        y >>= y >> 32;
    }
    return log;
}

uint64_t geometric_next(uint64_t *state, uint64_t mean)
{
    uint64_t u = (geometric_random(state) >> 32) + 1; /* 1 to 2^32 */
    uint64_t log = ((uint64_t)32 << GEOMETRIC_FRACTION_BITS) - geometric_log2(u); /* -log2(u / 2^32) */
    __extension__ unsigned __int128 distance = (unsigned __int128)(log * GEOMETRIC_LN2_32) * mean;

    return (uint64_t)(distance >> (32 + GEOMETRIC_FRACTION_BITS)) + 1;
}
