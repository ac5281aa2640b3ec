/* See histogram.h. */
#include "base/histogram.h"

#include "base/check.h"

struct histogram histogram_pauses;

unsigned histogram_bucket(uint64_t ns)
{
    uint64_t us = ns / 1000;
    unsigned bucket = us == 0 ? 0 : 64 - (unsigned)__builtin_clzll(us);

    return bucket < HISTOGRAM_N ? bucket : HISTOGRAM_N - 1;
}

void histogram_add(struct histogram *h, uint64_t ns)
{
    __atomic_fetch_add(&h->n[histogram_bucket(ns)], 1, __ATOMIC_RELAXED);
}

uint64_t histogram_get(const struct histogram *h, unsigned bucket)
{
    ASSERT(bucket < HISTOGRAM_N);
    return __atomic_load_n(&h->n[bucket], __ATOMIC_RELAXED);
}

uint64_t histogram_floor_us(unsigned bucket)
{
    return bucket == 0 ? 0 : UINT64_C(1) << (bucket - 1);
}
