/* A server whose worker threads come and go.
 * Two chains of threads; each thread replaces random blocks of its chain's table, then starts its successor,
 * hands the table over and exits. The successor frees what a dead thread allocated (larson's pattern).
 * Measures: random replacement, frees of blocks whose allocating thread is gone, adoption of its memory. */
#include <semaphore.h>

#include "bench.h"

enum {
    N_CHAINS = 2,
    N_SLOTS = 1000,
    N_OPS = 20000,
    GENERATIONS_PER_SCALE = 60,
    MIN_BYTES = 16,
    MAX_BYTES = 512
};

struct chain {
    struct {
        void *block;
        size_t size_bytes;
    } slots[N_SLOTS];
    struct bench_rng rng;
    unsigned n_generations_left;
    uint64_t sum;
};

static sem_t ended;

static void chain_replace(struct chain *chain)
{
    uint32_t i = bench_rng_below(&chain->rng, N_SLOTS);
    if (chain->slots[i].block != NULL) {
        chain->sum += bench_stamp_check(chain->slots[i].block, chain->slots[i].size_bytes);
        free(chain->slots[i].block);
    }
    size_t size_bytes = MIN_BYTES + bench_rng_below(&chain->rng, MAX_BYTES - MIN_BYTES);
    chain->slots[i].block = bench_malloc(size_bytes);
    chain->slots[i].size_bytes = size_bytes;
    bench_stamp(chain->slots[i].block, size_bytes, bench_rng_next(&chain->rng));
}

static void *chain_run(void *arg)
{
    struct chain *chain = arg;
    for (unsigned op = 0; op < N_OPS; op++)
        chain_replace(chain);
    if (--chain->n_generations_left == 0)
        sem_post(&ended);
    else
        pthread_detach(bench_thread_start(chain_run, chain));
    return NULL;
}

static void chain_clear(struct chain *chain)
{
    for (unsigned i = 0; i < N_SLOTS; i++)
        free(chain->slots[i].block);
}

int main(int argc, char **argv)
{
    static struct chain chains[N_CHAINS];
    unsigned scale = bench_scale(argc, argv);
    uint64_t sum = 0;
    sem_init(&ended, 0, 0);
    for (unsigned c = 0; c < N_CHAINS; c++) {
        chains[c].rng = bench_rng_seed(c);
        chains[c].n_generations_left = GENERATIONS_PER_SCALE * scale;
        pthread_detach(bench_thread_start(chain_run, &chains[c]));
    }
    for (unsigned c = 0; c < N_CHAINS; c++)
        while (sem_wait(&ended) != 0)
            continue;
    for (unsigned c = 0; c < N_CHAINS; c++) {
        chain_clear(&chains[c]);
        sum += chains[c].sum;
    }
    bench_print_checksum(sum);
    return 0;
}
