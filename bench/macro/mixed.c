/* Everything at once: two threads with tables of blocks from 16 bytes to 64 KiB, allocated by malloc, calloc
 * and aligned_alloc, resized, freed, and now and then swapped with a block of the other thread through a
 * shared table. Each block carries its size and a stamp. The sum over all stamps written must be the sum over
 * all stamps freed: which thread frees which block is left to chance, the sum is not. */
#include <stdatomic.h>

#include "bench.h"

enum { N_THREADS = 2, N_SLOTS = 2000, N_SHARED = 64, OPS_PER_SCALE = 80000, LOW_BITS = 5, HIGH_BITS = 16 };

struct block {
    uint64_t tag;
    size_t size_bytes;
};

struct worker {
    struct block *slots[N_SLOTS];
    struct bench_rng rng;
    unsigned n_ops;
    uint64_t n_made, n_freed; /* sums of tags */
};

static struct block *_Atomic shared[N_SHARED];

static void block_fill(struct worker *worker, struct block *block, size_t size_bytes)
{
    bench_stamp(block, size_bytes, bench_rng_next(&worker->rng));
    block->size_bytes = size_bytes;
    worker->n_made += block->tag;
}

static void block_check(struct worker *worker, struct block *block)
{
    worker->n_freed += bench_stamp_check(block, block->size_bytes);
}

static struct block *block_new(struct worker *worker)
{
    size_t size_bytes = bench_rng_size(&worker->rng, LOW_BITS, HIGH_BITS);
    uint32_t how = bench_rng_below(&worker->rng, 8);
    struct block *block;
    if (how == 0)
        block = bench_checked(aligned_alloc(64, (size_bytes + 63) & ~(size_t)63));
    else if (how <= 2)
        block = bench_checked(calloc(1, size_bytes));
    else
        block = bench_malloc(size_bytes);
    block_fill(worker, block, size_bytes);
    return block;
}

static void block_drop(struct worker *worker, struct block *block)
{
    if (block == NULL)
        return;
    block_check(worker, block);
    free(block);
}

static struct block *block_resize(struct worker *worker, struct block *block)
{
    size_t size_bytes = bench_rng_size(&worker->rng, LOW_BITS, HIGH_BITS);
    if (block != NULL)
        block_check(worker, block);
    block = bench_checked(realloc(block, size_bytes));
    block_fill(worker, block, size_bytes);
    return block;
}

static void worker_step(struct worker *worker)
{
    struct block **slot = &worker->slots[bench_rng_below(&worker->rng, N_SLOTS)];
    uint32_t what = bench_rng_below(&worker->rng, 16);
    if (what < 9) {
        block_drop(worker, *slot);
        *slot = block_new(worker);
    } else if (what < 12) {
        *slot = block_resize(worker, *slot);
    } else if (what < 15) {
        block_drop(worker, *slot);
        *slot = NULL;
    } else {
        *slot = atomic_exchange(&shared[bench_rng_below(&worker->rng, N_SHARED)], *slot);
    }
}

static void *worker_run(void *arg)
{
    struct worker *worker = arg;
    for (unsigned op = 0; op < worker->n_ops; op++)
        worker_step(worker);
    for (unsigned i = 0; i < N_SLOTS; i++)
        block_drop(worker, worker->slots[i]);
    return NULL;
}

int main(int argc, char **argv)
{
    static struct worker workers[N_THREADS];
    pthread_t threads[N_THREADS];
    unsigned scale = bench_scale(argc, argv);
    for (unsigned t = 0; t < N_THREADS; t++) {
        workers[t].rng = bench_rng_seed(100 + t);
        workers[t].n_ops = OPS_PER_SCALE * scale;
        threads[t] = bench_thread_start(worker_run, &workers[t]);
    }
    for (unsigned t = 0; t < N_THREADS; t++)
        pthread_join(threads[t], NULL);
    for (unsigned i = 0; i < N_SHARED; i++)
        block_drop(&workers[0], shared[i]);
    uint64_t n_made = workers[0].n_made + workers[1].n_made;
    if (n_made != workers[0].n_freed + workers[1].n_freed)
        bench_die(BENCH_EXIT_DAMAGED, "a block was lost");
    bench_print_checksum(n_made);
    return 0;
}
