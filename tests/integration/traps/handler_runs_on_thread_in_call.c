/* The program's own signals interrupt threads in blocking calls while others collect: the handlers run,
 * allocate, and the calls return EINTR as often as there were such signals, not more. */
#include <poll.h>
#include <signal.h>
#include "trap.h"
static _Atomic int n_handled;
static void *volatile from_handler;

static void handler(int signo)
{
    (void)signo;
    int error = errno;
    void *block = malloc(300);
    memset(block, 0x11, 300);
    free((void *)from_handler);
    from_handler = block;
    atomic_fetch_add(&n_handled, 1);
    errno = error;
}

static _Atomic int n_interrupted;
static void *volatile after_the_thread; /* the target outlives the stack that held it */

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    void *volatile block = trap_reveal(t->hidden);
    atomic_store(&t->ready, 1);
    while (!atomic_load(&t->release)) {
        int result = poll(NULL, 0, 20000);
        if (result == -1 && errno == EINTR)
            atomic_fetch_add(&n_interrupted, 1);
        else
            TEST_FAIL("poll returned %d", result);
    }
    TEST_CHECK(~(uintptr_t)block == t->hidden);
    after_the_thread = block;
    return NULL;
}

int main(void)
{
    enum { N = 300 };
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    struct trap_thread t = {.hidden = trap_new()};
    trap_thread_start(&t, body);
    pthread_t collector = trap_collector_start();
    for (int i = 0; i < N; i++) {
        if (i == N - 1)
            atomic_store(&t.release, 1);
        usleep(2000);
        pthread_kill(t.id, SIGUSR1);
        for (int k = 0; k < 100000 && atomic_load(&n_handled) <= i; k++)
            usleep(100);
        TEST_CHECK(atomic_load(&n_handled) == i + 1);
    }
    pthread_join(t.id, NULL);
    trap_collector_end(collector);
    if (atomic_load(&n_interrupted) > N || atomic_load(&n_interrupted) < N / 2)
        TEST_FAIL("%d signals, %d interrupted calls", N, atomic_load(&n_interrupted));
    trap_check_targets();
    return 0;
}
