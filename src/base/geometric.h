/* Distances between samples: geometric, so that each byte has the same chance whatever came before.
 *
 * Pure, without floating point: it runs inside malloc, where the program's vector registers are none of our business.
 */
#ifndef BASE_GEOMETRIC_H
#define BASE_GEOMETRIC_H

#include <stdint.h>

/* A distance of at least 1, mean about `mean`. *state: any value but 0; it moves on. pre: 1 <= mean < 2^48. */
uint64_t geometric_next(uint64_t *state, uint64_t mean);

#endif
