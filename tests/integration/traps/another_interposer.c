/* Another preloaded library takes poll and read, and allocates in them while others collect: it is in the allocator where a
 * thread in libc's own call counts as stopped. Its blocks stay whole, no call is interrupted, none ends early.
 * usage: another_interposer, with trap_interposer preloaded behind or before ours */
#include <poll.h>
#include <time.h>
#include "trap.h"

enum { N_THREADS = 4, SECONDS = 2, WAIT_MS = 20 };
static _Atomic int is_over;
static int fds[2];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *waits(void *arg)
{
    while (!atomic_load(&is_over)) {
        double begin = now();
        int result = poll(NULL, 0, WAIT_MS);
        if (result != 0 || now() - begin < 1e-3 * (WAIT_MS - 1))
            TEST_FAIL("poll returned %d after %f s, %s", result, now() - begin, strerror(errno));
    }
    return arg;
}

static void *reads(void *arg)
{
    char byte;
    while (!atomic_load(&is_over)) {
        TEST_CHECK(write(fds[1], "x", 1) == 1);
        if (read(fds[0], &byte, 1) != 1)
            TEST_FAIL("read: %s", strerror(errno));
        memset(malloc(TRAP_SIZE), 0xee, TRAP_SIZE); /* would land in a block that was taken */
    }
    return arg;
}

int main(void)
{
    pthread_t threads[N_THREADS], collector = trap_collector_start();
    static void *volatile root;
    root = trap_reveal(trap_new());
    TEST_CHECK(pipe(fds) == 0);
    for (int i = 0; i < N_THREADS; i++)
        TEST_CHECK(pthread_create(&threads[i], NULL, i % 2 == 0 ? waits : reads, NULL) == 0);
    sleep(SECONDS);
    atomic_store(&is_over, 1);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    trap_collector_end(collector);
    TEST_CHECK(trap_collect());
    trap_check_targets();
    TEST_CHECK(root != NULL);
    return 0;
}
