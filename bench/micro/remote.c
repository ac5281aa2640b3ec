/* free by a thread that did not allocate, ns for each. The owner allocates batches, the other thread frees
 * them: in turn (quiet), where only one of the two is ever busy, and with two batches on the way (busy),
 * where the owner allocates while its blocks are being freed, as a pipeline does. The malloc metrics are the
 * owner's side: what it pays to take the blocks back. Each thread has a core of its own where there are two:
 * on one core the blocks would never have to travel. */
#include <semaphore.h>

#include "bench.h"

enum { N_BLOCKS = 10000, TURNS_PER_SCALE = 20, MAX_BATCHES = 2, BLOCK_BYTES = 64 };

struct pipeline {
    void *blocks[MAX_BATCHES][N_BLOCKS];
    unsigned n_turns, n_batches;
    sem_t n_filled, n_empty, ready;
    uint64_t free_ns, malloc_ns;
};

static void semaphore_wait(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        continue;
}

static void *freer_run(void *arg)
{
    struct pipeline *pipe = arg;
    cpu_set_t allowed;
    if (bench_cores_allowed(&allowed))
        bench_core_bind(&allowed, 1);
    sem_post(&pipe->ready);
    for (unsigned turn = 0; turn < pipe->n_turns; turn++) {
        semaphore_wait(&pipe->n_filled);
        void **batch = pipe->blocks[turn % pipe->n_batches]; /* a division for each block took longer than its free */
        uint64_t start_ns = bench_now_ns();
        for (unsigned i = 0; i < N_BLOCKS; i++)
            free(batch[i]);
        pipe->free_ns += bench_now_ns() - start_ns;
        sem_post(&pipe->n_empty);
    }
    return NULL;
}

static void owner_run(struct pipeline *pipe)
{
    for (unsigned turn = 0; turn < pipe->n_turns; turn++) {
        semaphore_wait(&pipe->n_empty);
        void **batch = pipe->blocks[turn % pipe->n_batches];
        uint64_t start_ns = bench_now_ns();
        for (unsigned i = 0; i < N_BLOCKS; i++)
            batch[i] = malloc(BLOCK_BYTES);
        pipe->malloc_ns += bench_now_ns() - start_ns;
        sem_post(&pipe->n_filled);
    }
}

static void pipeline_run(unsigned n_turns, unsigned n_batches, const char *name)
{
    static struct pipeline pipe;
    char text[64];
    cpu_set_t allowed;
    pipe = (struct pipeline){.n_turns = n_turns, .n_batches = n_batches};
    sem_init(&pipe.n_filled, 0, 0);
    sem_init(&pipe.n_empty, 0, n_batches);
    sem_init(&pipe.ready, 0, 0);
    bool has_cores = bench_cores_allowed(&allowed);
    pthread_t freer = bench_thread_start(freer_run, &pipe);
    semaphore_wait(&pipe.ready);
    if (has_cores)
        bench_core_bind(&allowed, 0);
    owner_run(&pipe);
    pthread_join(freer, NULL);
    if (has_cores)
        sched_setaffinity(0, sizeof allowed, &allowed);
    snprintf(text, sizeof text, "remote-free-%s-ns", name);
    bench_print_metric(text, (double)pipe.free_ns / n_turns / N_BLOCKS);
    snprintf(text, sizeof text, "remote-malloc-%s-ns", name);
    bench_print_metric(text, (double)pipe.malloc_ns / n_turns / N_BLOCKS);
}

int main(int argc, char **argv)
{
    unsigned n_turns = TURNS_PER_SCALE * bench_scale(argc, argv);
    pipeline_run(n_turns, 1, "quiet");
    pipeline_run(n_turns, 2, "busy");
    bench_print_checksum(n_turns);
    return 0;
}
