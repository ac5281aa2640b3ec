/* Build much, then tear it down: batches of 20,000 blocks, freed in the order of allocation, in reverse, and
 * at random. Measures: lists and bitmaps far from the warm pair malloc/free, and what order does to them. */
#include "bench.h"

enum { N_BLOCKS = 20000, BATCHES_PER_SCALE = 30 };
enum order { ORDER_FIFO, ORDER_LIFO, ORDER_RANDOM, N_ORDERS };

static void *blocks[N_BLOCKS];

static void batch_fill(struct bench_rng *rng)
{
    for (unsigned i = 0; i < N_BLOCKS; i++) {
        blocks[i] = bench_malloc(16 + bench_rng_below(rng, 240));
        *(uint64_t *)blocks[i] = bench_rng_next(rng);
    }
}

static void batch_shuffle(struct bench_rng *rng)
{
    for (unsigned i = N_BLOCKS - 1; i > 0; i--) {
        uint32_t j = bench_rng_below(rng, i + 1);
        void *block = blocks[i];
        blocks[i] = blocks[j];
        blocks[j] = block;
    }
}

static uint64_t batch_free(enum order order)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < N_BLOCKS; i++) {
        uint64_t *block = blocks[order == ORDER_LIFO ? N_BLOCKS - 1 - i : i];
        sum = sum * 3 + *block;
        free(block);
    }
    return sum;
}

int main(int argc, char **argv)
{
    struct bench_rng rng = bench_rng_seed(8);
    uint64_t sum = 0;
    for (unsigned n = BATCHES_PER_SCALE * bench_scale(argc, argv); n > 0; n--) {
        enum order order = n % N_ORDERS;
        batch_fill(&rng);
        if (order == ORDER_RANDOM)
            batch_shuffle(&rng);
        sum ^= batch_free(order);
    }
    bench_print_checksum(sum);
    return 0;
}
