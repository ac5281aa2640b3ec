/* A thread that computes, one that allocates and one in calls that succeed find errno as they left it, however often they are
 * stopped: neither the stop's handler nor the wrappers of calls nor a collection of one's own may change it. */
#include <poll.h>
#include <signal.h>
#include "trap.h"
enum { N_CYCLES = 300, N_KINDS = 3, MARK = 12345 };
static _Atomic int stop;
static _Atomic unsigned n_done[N_KINDS];

static void *body(void *arg)
{
    long kind = (long)arg;
    errno = MARK;
    while (!atomic_load(&stop)) {
        if (kind == 1)
            for (int i = 0; i < 50; i++)
                memset(malloc(300), 0xee, 300); /* left for the collector */
        if (kind == 2)
            poll(NULL, 0, 0);
        if (errno != MARK)
            TEST_FAIL("errno of kind %ld became %d", kind, errno);
        atomic_fetch_add(&n_done[kind], 1);
    }
    return NULL;
}

int main(void)
{
    pthread_t ids[N_KINDS];
    for (long i = 0; i < N_KINDS; i++)
        TEST_CHECK(pthread_create(&ids[i], NULL, body, (void *)i) == 0);
    for (int i = 0; i < N_CYCLES; i++) {
        errno = MARK;
        trap_gc(TRAP_GC_FULL);
        TEST_CHECK(errno == MARK);
    }
    for (int i = 0; i < N_KINDS; i++)
        while (atomic_load(&n_done[i]) == 0)
            sched_yield();
    atomic_store(&stop, 1);
    for (int i = 0; i < N_KINDS; i++)
        pthread_join(ids[i], NULL);
    return 0;
}
