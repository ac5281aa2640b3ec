/* Scanning alone: numbers in blocks that a collector has to search, because nobody said that they hold no
 * addresses. 10 MiB a unit of the scale, in blocks of 1 MiB. Metrics: GB a second that a collection gets
 * through, and GB a second that one core reads in sequence from the same blocks. */
#include "alloc.h"

enum { BLOCKS_PER_SCALE = 10, BLOCK_WORDS = 131072, N_WARM = 2, N_TIMED = 5 };

static double *block_new(struct bench_rng *rng)
{
    double *block = alloc_new(BLOCK_WORDS * sizeof *block);
    for (unsigned i = 0; i < BLOCK_WORDS; i++)
        block[i] = (double)bench_rng_next(rng) / 3;
    return block;
}

/* Four sums, so that it waits for memory and not for additions. */
static double blocks_sum(double *const *blocks, unsigned n_blocks)
{
    uint64_t sums[4] = {0};
    for (unsigned b = 0; b < n_blocks; b++) {
        const uint64_t *words = (const uint64_t *)blocks[b];
        for (unsigned i = 0; i < BLOCK_WORDS; i += 4)
            for (unsigned k = 0; k < 4; k++)
                sums[k] += words[i + k];
    }
    return (double)(sums[0] + sums[1] + sums[2] + sums[3]);
}

/* The least of several times: GB a second. */
static double rate_best(double *const *blocks, unsigned n_blocks, int is_collection, double *sum)
{
    uint64_t best_ns = UINT64_MAX;
    for (int n = -N_WARM; n < N_TIMED; n++) {
        uint64_t start_ns = bench_now_ns();
        if (is_collection)
            alloc_collect();
        else
            *sum = blocks_sum(blocks, n_blocks);
        uint64_t ns = bench_now_ns() - start_ns;
        if (n >= 0 && ns < best_ns)
            best_ns = ns;
    }
    return (double)n_blocks * BLOCK_WORDS * sizeof(double) / (double)best_ns;
}

int main(int argc, char **argv)
{
    unsigned n_blocks = BLOCKS_PER_SCALE * bench_scale(argc, argv);
    struct bench_rng rng = bench_rng_seed(41);
    double sum = 0;
    alloc_init();
    double **blocks = alloc_new(n_blocks * sizeof *blocks);
    for (unsigned b = 0; b < n_blocks; b++)
        blocks[b] = block_new(&rng);
    bench_print_metric("scan-GB/s", rate_best(blocks, n_blocks, 1, &sum));
    bench_print_metric("read-one-core-GB/s", rate_best(blocks, n_blocks, 0, &sum));
    bench_print_checksum((uint64_t)(sum / 1e6));
    return 0;
}
