/* Does memory blow up with threads? 200 threads each keep one block in each of eight size classes and wait; then the
 * private memory above that of one such thread, stacks included, and above that of 200 threads that keep none: the
 * allocator's share. */
#include "bench.h"

enum { N_THREADS = 200, N_CLASSES = 8, FIRST_BYTES = 32 };

static pthread_barrier_t all_hold, all_may_go;

static void *hold(void *arg)
{
    void *blocks[N_CLASSES];
    unsigned n_classes = *(const unsigned *)arg;
    for (unsigned i = 0; i < n_classes; i++) {
        blocks[i] = bench_malloc((size_t)FIRST_BYTES << i);
        memset(blocks[i], 1, (size_t)FIRST_BYTES << i);
    }
    pthread_barrier_wait(&all_hold);
    pthread_barrier_wait(&all_may_go);
    for (unsigned i = 0; i < n_classes; i++)
        free(blocks[i]);
    return NULL;
}

static double private_kib_with(unsigned n_threads, unsigned n_classes)
{
    pthread_t threads[N_THREADS];
    pthread_barrier_init(&all_hold, NULL, n_threads + 1);
    pthread_barrier_init(&all_may_go, NULL, n_threads + 1);
    for (unsigned i = 0; i < n_threads; i++)
        threads[i] = bench_thread_start(hold, &n_classes);
    pthread_barrier_wait(&all_hold);
    double kib = (double)bench_smaps_kib("Private_");
    pthread_barrier_wait(&all_may_go);
    for (unsigned i = 0; i < n_threads; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&all_hold);
    pthread_barrier_destroy(&all_may_go);
    return kib;
}

int main(int argc, char **argv)
{
    bench_scale(argc, argv);
    double idle = private_kib_with(N_THREADS, 0), one = private_kib_with(1, N_CLASSES);
    double many = private_kib_with(N_THREADS, N_CLASSES);
    bench_print_metric("threads200-extra-KiB", many - one);
    bench_print_metric("threads200-heap-KiB", many - idle);
    bench_print_metric("threads200-extra-KiB/thread/class", (many - one) / N_THREADS / N_CLASSES);
    bench_print_checksum(N_THREADS);
    return 0;
}
