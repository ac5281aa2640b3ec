/* Threads are cancelled in blocking calls, in malloc-heavy loops at their test points, and while they are
 * stopped: cleanup handlers run, nothing stays locked. */
#include <poll.h>
#include <semaphore.h>
#include "trap.h"
static _Atomic int n_cleaned;

static void cleanup(void *block)
{
    free(block);
    atomic_fetch_add(&n_cleaned, 1);
}

static int fds[2];
static sem_t never;

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    long which = (long)t->hidden;
    void *block = malloc(333);
    pthread_cleanup_push(cleanup, block);
    atomic_store(&t->ready, 1);
    char byte;
    for (;;) {
        switch (which % 6) {
        case 0:
            (void)!read(fds[0], &byte, 1);
            break;
        case 1:
            poll(NULL, 0, -1);
            break;
        case 2:
            sem_wait(&never);
            break;
        case 3:
            usleep(1000000);
            break;
        case 4:
            pause();
            break;
        default:
            for (int i = 0; i < 1000; i++)
                free(malloc(100 + (size_t)i));
            pthread_testcancel();
        }
    }
    pthread_cleanup_pop(1);
    return NULL;
}

int main(void)
{
    enum { N = 240 };
    TEST_CHECK(pipe(fds) == 0 && sem_init(&never, 0, 0) == 0);
    pthread_t collector = trap_collector_start();
    for (int i = 0; i < N; i++) {
        struct trap_thread t = {.hidden = (uintptr_t)i};
        trap_thread_start(&t, body);
        if (i % 3 == 0)
            usleep(2000);
        TEST_CHECK(pthread_cancel(t.id) == 0);
        void *result = NULL;
        TEST_CHECK(pthread_join(t.id, &result) == 0 && result == PTHREAD_CANCELED);
    }
    trap_collector_end(collector);
    TEST_CHECK(atomic_load(&n_cleaned) == N);
    static void *volatile root;
    root = trap_reveal(trap_new());
    trap_verify();
    TEST_CHECK(root != NULL);
    return 0;
}
