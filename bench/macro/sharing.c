/* False sharing: two threads that write their own small block over and over. If both blocks lie in one cache
 * line, the line travels between the cores and the program is many times slower. Two programs from this file:
 * with SHARING_PASSIVE the main thread allocates the first blocks, one after the other, and hands them out:
 * an allocator that lets the thread reuse what another one freed keeps the sharing up. */
#include "bench.h"

enum { N_THREADS = 2, ROUNDS_PER_SCALE = 2500, N_WRITES = 10000, BLOCK_BYTES = 24 };

struct writer {
    unsigned char *first; /* from the main thread, or NULL */
    unsigned n_rounds;
    uint64_t sum;
};

static uint64_t block_write(unsigned char *block)
{
    memset(block, 0, BLOCK_BYTES);
    for (unsigned n = 0; n < N_WRITES; n++)
        ++*(volatile unsigned char *)&block[n % BLOCK_BYTES];
    return block[0] + 256u * block[BLOCK_BYTES - 1];
}

static void *writer_run(void *arg)
{
    struct writer *writer = arg;
    free(writer->first);
    for (unsigned round = 0; round < writer->n_rounds; round++) {
        unsigned char *block = bench_malloc(BLOCK_BYTES);
        writer->sum += block_write(block);
        free(block);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct writer writers[N_THREADS];
    pthread_t threads[N_THREADS];
    uint64_t sum = 0;
    unsigned n_rounds = ROUNDS_PER_SCALE * bench_scale(argc, argv);
    for (unsigned t = 0; t < N_THREADS; t++)
        writers[t] = (struct writer){.first = SHARING_PASSIVE ? bench_malloc(BLOCK_BYTES) : NULL,
                                     .n_rounds = n_rounds};
    for (unsigned t = 0; t < N_THREADS; t++)
        threads[t] = bench_thread_start(writer_run, &writers[t]);
    for (unsigned t = 0; t < N_THREADS; t++) {
        pthread_join(threads[t], NULL);
        sum += writers[t].sum;
    }
    bench_print_checksum(sum);
    return 0;
}
