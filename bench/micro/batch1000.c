/* 1000 blocks allocated, then freed in the same order, ns for each malloc or free: blocks of one size, mixed
 * sizes. */
#include "bench.h"

enum { N_BLOCKS = 1000, BATCHES_PER_SCALE = 200, ONE_SIZE_BYTES = 64 };

static size_t sizes[N_BLOCKS];
static void *blocks[N_BLOCKS];

static double batch_ns(unsigned n_batches)
{
    uint64_t start_ns = bench_now_ns();
    for (unsigned n = 0; n < n_batches; n++) {
        for (unsigned i = 0; i < N_BLOCKS; i++)
            blocks[i] = malloc(sizes[i]);
        bench_escape(blocks);
        for (unsigned i = 0; i < N_BLOCKS; i++)
            free(blocks[i]);
    }
    return (double)(bench_now_ns() - start_ns) / (2.0 * N_BLOCKS * n_batches);
}

int main(int argc, char **argv)
{
    unsigned n_batches = BATCHES_PER_SCALE * bench_scale(argc, argv);
    struct bench_rng rng = bench_rng_seed(21);
    for (unsigned i = 0; i < N_BLOCKS; i++)
        sizes[i] = ONE_SIZE_BYTES;
    batch_ns(n_batches / 10);
    bench_print_metric("batch1000-64-ns/op", batch_ns(n_batches));
    for (unsigned i = 0; i < N_BLOCKS; i++)
        sizes[i] = 16 + bench_rng_below(&rng, 1009);
    batch_ns(n_batches / 10);
    bench_print_metric("batch1000-mixed-ns/op", batch_ns(n_batches));
    bench_print_checksum(n_batches);
    return 0;
}
