/* Threads in blocking calls are stopped without a signal, also those that are about to end and wait in a destructor of a key, and the
 * one that was forked: they sleep through hundreds of collections, which the kernel's count of their switches proves, and what
 * their stacks and registers hold is kept. */
#include <poll.h>
#include <sys/wait.h>
#include "trap.h"
enum { N_THREADS = 8, N_CYCLES = 200, N_TRIALS = 20 };
static struct trap_thread threads[N_THREADS];
static _Atomic pid_t tids[N_THREADS];
static int pipes[N_THREADS][2];

static pthread_key_t key;

static void sleep_as(void *arg)
{
    struct trap_thread *t = arg;
    int i = (int)(t - threads);
    void *volatile block = trap_reveal(t->hidden);
    struct pollfd fd = {.fd = pipes[i][0], .events = POLLIN};
    atomic_store(&tids[i], (pid_t)syscall(SYS_gettid));
    atomic_store(&t->ready, 1);
    TEST_CHECK(poll(&fd, 1, -1) == 1);
    TEST_CHECK(~(uintptr_t)block == t->hidden);
}

static void *body(void *arg)
{
    if (((struct trap_thread *)arg - threads) % 2 == 0)
        sleep_as(arg);
    else
        TEST_CHECK(pthread_setspecific(key, arg) == 0);
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

static long all_switches(int n)
{
    long sum = 0;
    for (int i = 0; i < n; i++)
        sum += switches_of(atomic_load(&tids[i]));
    return sum;
}

/* The first n of tids. */
static void expect_sleep(int n)
{
    long before = 0, after = 1;
    for (int i = 0; i < N_TRIALS && after != before; i++) { /* first they go to sleep */
        usleep(50000);
        before = all_switches(n);
        for (int k = 0; k < N_CYCLES; k++)
            trap_gc(TRAP_GC_FULL);
        after = all_switches(n);
    }
    if (after != before && !trap_is_peer() && !trap_is_emulated())
        TEST_FAIL("%ld wake-ups in %d collections", after - before, N_CYCLES);
}

static void *watch_forked(void *arg)
{
    expect_sleep(1);
    TEST_CHECK(write(pipes[0][1], "", 1) == 1);
    return arg;
}

/* Of the threads only the one that forked is there, under another id. */
static void sleep_in_child(void)
{
    pthread_t id;
    struct pollfd fd = {.fd = pipes[0][0], .events = POLLIN};
    atomic_store(&tids[0], getpid());
    TEST_CHECK(pthread_create(&id, NULL, watch_forked, NULL) == 0);
    TEST_CHECK(poll(&fd, 1, -1) == 1);
    TEST_CHECK(pthread_join(id, NULL) == 0);
    _exit(0);
}

static void fork_sleeper(void)
{
    int status = 0;
    char byte;
    pid_t pid = fork();
    TEST_CHECK(pid >= 0);
    if (pid == 0)
        sleep_in_child();
    TEST_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    TEST_CHECK(read(pipes[0][0], &byte, 1) == 1);
}

int main(void)
{
    TEST_CHECK(pthread_key_create(&key, sleep_as) == 0);
    TEST_CHECK(pipe(pipes[0]) == 0);
    fork_sleeper();
    for (int i = 0; i < N_THREADS; i++) {
        TEST_CHECK(pipe(pipes[i]) == 0);
        threads[i].hidden = trap_new();
        trap_thread_start(&threads[i], body);
    }
    expect_sleep(N_THREADS);
    trap_verify();
    for (int i = 0; i < N_THREADS; i++)
        TEST_CHECK(write(pipes[i][1], "", 1) == 1);
    for (int i = 0; i < N_THREADS; i++)
        trap_thread_end(&threads[i]);
    return 0;
}
