/* Blocks of 5 to 25 MiB, every page written once, replaced at random among a few that are alive.
 * Measures: what a large block costs from the kernel's side, that is, whether its pages are kept for the next
 * one. */
#include "bench.h"

enum {
    N_SLOTS = 10,
    OPS_PER_SCALE = 12,
    MIB = 1 << 20,
    MIN_BYTES = 5 * MIB,
    MAX_BYTES = 25 * MIB,
    PAGE_BYTES = 4096
};

int main(int argc, char **argv)
{
    unsigned char *blocks[N_SLOTS] = {NULL};
    struct bench_rng rng = bench_rng_seed(5);
    uint64_t sum = 0;
    for (unsigned op = OPS_PER_SCALE * bench_scale(argc, argv); op > 0; op--) {
        uint32_t i = bench_rng_below(&rng, N_SLOTS);
        size_t size_bytes = MIN_BYTES + bench_rng_below(&rng, MAX_BYTES - MIN_BYTES);
        free(blocks[i]);
        blocks[i] = bench_malloc(size_bytes);
        for (size_t at = 0; at < size_bytes; at += PAGE_BYTES)
            blocks[i][at] = (unsigned char)(op + at / PAGE_BYTES);
        sum += blocks[i][MIN_BYTES - PAGE_BYTES] + size_bytes;
    }
    for (unsigned i = 0; i < N_SLOTS; i++)
        free(blocks[i]);
    bench_print_checksum(sum);
    return 0;
}
