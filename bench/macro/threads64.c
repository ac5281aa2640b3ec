/* 64 threads that all work, on however few cores there are: each replaces random blocks of a table of its
 * own. Measures: what is shared among threads (locks, central lists), and what each thread's cache keeps for
 * itself. */
#include "bench.h"

enum { N_THREADS = 64, N_SLOTS = 256, OPS_PER_SCALE = 15000 };

struct worker {
    struct bench_rng rng;
    unsigned n_ops;
    uint64_t sum;
};

static void *worker_run(void *arg)
{
    struct worker *worker = arg;
    uint64_t *blocks[N_SLOTS] = {NULL};
    for (unsigned op = 0; op < worker->n_ops; op++) {
        uint32_t i = bench_rng_below(&worker->rng, N_SLOTS);
        if (blocks[i] != NULL)
            worker->sum += *blocks[i];
        free(blocks[i]);
        blocks[i] = bench_malloc(bench_rng_size(&worker->rng, 4, 12));
        *blocks[i] = bench_rng_next(&worker->rng);
    }
    for (unsigned i = 0; i < N_SLOTS; i++)
        free(blocks[i]);
    return NULL;
}

int main(int argc, char **argv)
{
    static struct worker workers[N_THREADS];
    pthread_t threads[N_THREADS];
    uint64_t sum = 0;
    unsigned scale = bench_scale(argc, argv);
    for (unsigned t = 0; t < N_THREADS; t++) {
        workers[t] = (struct worker){.rng = bench_rng_seed(7000 + t), .n_ops = OPS_PER_SCALE * scale};
        threads[t] = bench_thread_start(worker_run, &workers[t]);
    }
    for (unsigned t = 0; t < N_THREADS; t++) {
        pthread_join(threads[t], NULL);
        sum += workers[t].sum;
    }
    bench_print_checksum(sum);
    return 0;
}
