/* Threads that live for a moment: each frees what its predecessor left, allocates a little, leaves half of
 * it, exits. Measures: what the first malloc of a thread and its exit cost, and whether memory of dead
 * threads piles up. */
#include "bench.h"

enum { THREADS_PER_SCALE = 250, N_BLOCKS = 64 };

struct heirloom {
    void *blocks[N_BLOCKS / 2];
    uint64_t seed, sum;
};

static void *churn_run(void *arg)
{
    struct heirloom *left = arg;
    struct bench_rng rng = bench_rng_seed(left->seed++);
    void *blocks[N_BLOCKS];
    for (unsigned i = 0; i < N_BLOCKS / 2; i++) {
        if (left->blocks[i] != NULL)
            left->sum += *(uint64_t *)left->blocks[i];
        free(left->blocks[i]);
    }
    for (unsigned i = 0; i < N_BLOCKS; i++) {
        size_t size_bytes = bench_rng_size(&rng, 4, 11);
        blocks[i] = bench_malloc(size_bytes);
        bench_stamp(blocks[i], size_bytes, bench_rng_next(&rng));
    }
    for (unsigned i = 0; i < N_BLOCKS / 2; i++) {
        left->blocks[i] = blocks[2 * i];
        free(blocks[2 * i + 1]);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static struct heirloom chains[2] = {{.seed = 1000000}, {.seed = 2000000}};
    for (unsigned n = THREADS_PER_SCALE * bench_scale(argc, argv); n > 0; n--) {
        pthread_t first = bench_thread_start(churn_run, &chains[0]);
        pthread_t second = bench_thread_start(churn_run, &chains[1]);
        pthread_join(first, NULL);
        pthread_join(second, NULL);
    }
    for (unsigned i = 0; i < N_BLOCKS / 2; i++) {
        free(chains[0].blocks[i]);
        free(chains[1].blocks[i]);
    }
    bench_print_checksum(chains[0].sum + chains[1].sum);
    return 0;
}
