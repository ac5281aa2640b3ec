/* The warm pair malloc + free, ns: one size at a time, then sizes 16..1024 mixed (chosen beforehand, so that
 * chance is not in the loop), then the same by two threads at once. */
#include "bench.h"

enum { PAIRS_PER_SCALE = 200000, N_SIZES = 4096 };

static size_t sizes[N_SIZES];

static double pair_ns(size_t size_bytes, unsigned n_pairs)
{
    uint64_t start_ns = bench_now_ns();
    for (unsigned n = 0; n < n_pairs; n++) {
        void *block = malloc(size_bytes);
        bench_escape(block);
        free(block);
    }
    return (double)(bench_now_ns() - start_ns) / n_pairs;
}

static double pair_mixed_ns(unsigned n_pairs)
{
    uint64_t start_ns = bench_now_ns();
    for (unsigned n = 0; n < n_pairs; n++) {
        void *block = malloc(sizes[n % N_SIZES]);
        bench_escape(block);
        free(block);
    }
    return (double)(bench_now_ns() - start_ns) / n_pairs;
}

struct task {
    unsigned n_pairs;
    double ns;
};

static void *task_run(void *arg)
{
    struct task *task = arg;
    pair_mixed_ns(task->n_pairs / 10);
    task->ns = pair_mixed_ns(task->n_pairs);
    return NULL;
}

static double pair_two_threads_ns(unsigned n_pairs)
{
    struct task first = {n_pairs, 0}, second = {n_pairs, 0};
    pthread_t other = bench_thread_start(task_run, &second);
    task_run(&first);
    pthread_join(other, NULL);
    return (first.ns + second.ns) / 2;
}

int main(int argc, char **argv)
{
    unsigned n_pairs = PAIRS_PER_SCALE * bench_scale(argc, argv);
    struct bench_rng rng = bench_rng_seed(20);
    char name[32];
    for (unsigned i = 0; i < N_SIZES; i++)
        sizes[i] = 16 + bench_rng_below(&rng, 1009);
    for (size_t size_bytes = 16; size_bytes <= 1024; size_bytes *= 2) {
        pair_ns(size_bytes, n_pairs / 10);
        snprintf(name, sizeof name, "pair-%zu-ns", size_bytes);
        bench_print_metric(name, pair_ns(size_bytes, n_pairs));
    }
    pair_mixed_ns(n_pairs / 10);
    bench_print_metric("pair-mixed-ns", pair_mixed_ns(n_pairs));
    bench_print_metric("pair-mixed-2threads-ns", pair_two_threads_ns(n_pairs));
    bench_print_checksum(n_pairs);
    return 0;
}
