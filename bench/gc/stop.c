/* Stopping: what an explicit collection of a nearly empty heap takes, median and longest, beside
 *   - idle: threads in a blocking read
 *   - spin: threads that compute, more than there are cores
 *   - loop: threads that do nothing but malloc and free (libgc: GC_MALLOC and GC_FREE)
 * The scale stretches the number of idle threads only: 100 a unit, at most 1000. */
#include "alloc.h"

#include <sched.h>
#include <unistd.h>

enum {
    IDLE_PER_SCALE = 100,
    IDLE_MAX = 1000,
    N_SPIN = 16,
    N_LOOP = 4,
    N_WARM = 3,
    N_TIMED = 21,
    LOOP_BYTES = 64,
    PAUSE_US = 2000
};

static int idle_pipe[2];
static int is_done; /* atomic */
static unsigned n_running;

static void running_note(void)
{
    __atomic_add_fetch(&n_running, 1, __ATOMIC_RELEASE);
}

static int is_time_to_end(void)
{
    return __atomic_load_n(&is_done, __ATOMIC_RELAXED);
}

static void *idle_run(void *arg)
{
    char byte;
    running_note();
    while (read(idle_pipe[0], &byte, 1) > 0)
        continue;
    return arg;
}

static void *spin_run(void *arg)
{
    running_note();
    while (!is_time_to_end())
        continue;
    return arg;
}

static void loop_once(void)
{
#if BENCH_ALLOC == ALLOC_BOEHM
    GC_FREE(GC_MALLOC(LOOP_BYTES));
#else
    void *block = malloc(LOOP_BYTES);
    __asm__ volatile("" : "+r"(block) : : "memory");
    free(block);
#endif
}

static void *loop_run(void *arg)
{
    running_note();
    while (!is_time_to_end())
        loop_once();
    return arg;
}

static int ns_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void collect_print(const char *kind)
{
    uint64_t times_ns[N_TIMED];
    char name[64];
    for (int n = -N_WARM; n < N_TIMED; n++) {
        usleep(PAUSE_US);
        uint64_t start_ns = bench_now_ns();
        alloc_collect();
        if (n >= 0)
            times_ns[n] = bench_now_ns() - start_ns;
    }
    qsort(times_ns, N_TIMED, sizeof *times_ns, ns_compare);
    snprintf(name, sizeof name, "stop-%s-us", kind);
    bench_print_metric(name, (double)times_ns[N_TIMED / 2] / 1e3);
    snprintf(name, sizeof name, "stop-%s-longest-us", kind);
    bench_print_metric(name, (double)times_ns[N_TIMED - 1] / 1e3);
}

static void beside(const char *kind, void *(*run)(void *), unsigned n_threads)
{
    pthread_t threads[IDLE_MAX];
    is_done = 0;
    n_running = 0;
    if (pipe(idle_pipe) != 0)
        bench_die(BENCH_EXIT_USAGE, "no pipe");
    for (unsigned t = 0; t < n_threads; t++)
        threads[t] = bench_thread_start(run, NULL);
    while (__atomic_load_n(&n_running, __ATOMIC_ACQUIRE) < n_threads)
        sched_yield();
    collect_print(kind);
    __atomic_store_n(&is_done, 1, __ATOMIC_RELAXED);
    close(idle_pipe[1]);
    for (unsigned t = 0; t < n_threads; t++)
        pthread_join(threads[t], NULL);
    close(idle_pipe[0]);
}

int main(int argc, char **argv)
{
    unsigned n_idle = IDLE_PER_SCALE * bench_scale(argc, argv);
    alloc_init();
    collect_print("alone");
    beside("idle", idle_run, n_idle < IDLE_MAX ? n_idle : IDLE_MAX);
    beside("spin", spin_run, N_SPIN);
    beside("loop", loop_run, N_LOOP);
    bench_print_checksum(n_running);
    return 0;
}
