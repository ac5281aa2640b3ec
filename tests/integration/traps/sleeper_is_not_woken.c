/* Threads in blocking calls are stopped without a signal: they sleep through hundreds of collections, which the kernel's
 * count of their switches proves, and what their stacks and registers hold is kept. */
#include <poll.h>
#include "trap.h"
enum { N_THREADS = 8, N_CYCLES = 200, N_TRIALS = 20 };
static struct trap_thread threads[N_THREADS];
static _Atomic pid_t tids[N_THREADS];
static int pipes[N_THREADS][2];

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    int i = (int)(t - threads);
    void *volatile block = trap_reveal(t->hidden);
    struct pollfd fd = {.fd = pipes[i][0], .events = POLLIN};
    atomic_store(&tids[i], (pid_t)syscall(SYS_gettid));
    atomic_store(&t->ready, 1);
    TEST_CHECK(poll(&fd, 1, -1) == 1);
    TEST_CHECK(~(uintptr_t)block == t->hidden);
    return NULL;
}

static long switches_of(pid_t tid)
{
    char path[64], line[256];
    long n = -1;
    snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        if (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1)
            break;
    if (f != NULL)
        fclose(f);
    return n;
}

static long all_switches(void)
{
    long sum = 0;
    for (int i = 0; i < N_THREADS; i++)
        sum += switches_of(atomic_load(&tids[i]));
    return sum;
}

int main(void)
{
    for (int i = 0; i < N_THREADS; i++) {
        TEST_CHECK(pipe(pipes[i]) == 0);
        threads[i].hidden = trap_new();
        trap_thread_start(&threads[i], body);
    }
    long before = 0, after = 1;
    for (int i = 0; i < N_TRIALS && after != before; i++) { /* first they go to sleep */
        usleep(50000);
        before = all_switches();
        for (int k = 0; k < N_CYCLES; k++)
            trap_gc(TRAP_GC_FULL);
        after = all_switches();
    }
    if (after != before && !trap_is_peer() && !trap_is_emulated())
        TEST_FAIL("%ld wake-ups in %d collections", after - before, N_CYCLES);
    trap_verify();
    for (int i = 0; i < N_THREADS; i++)
        TEST_CHECK(write(pipes[i][1], "", 1) == 1);
    for (int i = 0; i < N_THREADS; i++)
        trap_thread_end(&threads[i]);
    return 0;
}
