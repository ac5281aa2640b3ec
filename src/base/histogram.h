/* Durations counted by their logarithm.
 *
 * What        bucket 0: less than 1 us; bucket i: at least 2^(i-1) us and less than 2^i us; the last one: whatever
 *             is longer.
 * Owns        histogram_pauses: how long the program stood still in each collection.
 * Locks       none: relaxed atomics. Read together they are no snapshot.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_N = 26 }; /* the last bucket begins at 2^24 us, some 17 s */

struct histogram {
    uint64_t n[HISTOGRAM_N];
};
extern struct histogram histogram_pauses;

unsigned histogram_bucket(uint64_t ns);
void histogram_add(struct histogram *h, uint64_t ns);
uint64_t histogram_get(const struct histogram *h, unsigned bucket);
/* The shortest duration that the bucket counts. */
uint64_t histogram_floor_us(unsigned bucket);

#endif
