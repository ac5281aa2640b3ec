/* Seeds of random tests: printed at each run, and taken from SEED to repeat one. */
#ifndef TESTS_UNIT_UNIT_SEED_H
#define TESTS_UNIT_UNIT_SEED_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "test_util.h"

/* The state to give to test_random. */
static inline uint64_t unit_seed(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = ((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec) ^ ((uint64_t)getpid() << 40);
    const char *text = getenv("SEED");
    if (text != NULL && *text != '\0') {
        seed = strtoull(text, NULL, 0);
    }
    printf("SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    return seed;
}

/* In [0, n). pre: n > 0. */
static inline uint64_t unit_below(uint64_t *state, uint64_t n)
{
    return test_random(state) % n;
}

#endif
