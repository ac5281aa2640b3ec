/* Handlers that allocate and free (which the standard forbids and programs do) while the same thread is in
 * malloc, and while other threads collect. */
#include <signal.h>
#include <sys/time.h>
#include "trap.h"
#define N_KEPT 64
static unsigned char *kept[N_KEPT];
static volatile sig_atomic_t n_handled;

static void handler(int signo)
{
    (void)signo;
    int error = errno;
    unsigned i = (unsigned)n_handled % N_KEPT;
    if (kept[i] != NULL && !test_is_filled(kept[i], 100 + i * 8, i))
        TEST_FAIL("a handler's block changed");
    free(kept[i]);
    kept[i] = malloc(100 + i * 8);
    test_fill(kept[i], 100 + i * 8, i);
    n_handled++;
    errno = error;
}

static _Atomic int stop;

static void *body(void *arg)
{
    while (!atomic_load(&stop))
        for (int i = 0; i < 100; i++)
            memset(malloc(200), 0xee, 200); /* garbage */
    return arg;
}

int main(void)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    sigset_t alarm; /* only main takes it: the handler's table is of one thread */
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm, NULL);
    pthread_t thread, collector = trap_collector_start();
    pthread_create(&thread, NULL, body, NULL);
    pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
    struct itimerval often = {.it_interval.tv_usec = 200, .it_value.tv_usec = 200}, never = {0};
    static unsigned char *blocks[500];
    setitimer(ITIMER_REAL, &often, NULL);
    uint64_t random = 5;
    for (unsigned i = 0; i < 1500000 && n_handled < 5000; i++) {
        unsigned slot = (unsigned)(test_random(&random) % 500);
        if (blocks[slot] != NULL && !test_is_filled(blocks[slot], 50 + slot, slot))
            TEST_FAIL("a block changed");
        if (i % 2)
            free(blocks[slot]);
        blocks[slot] = malloc(50 + slot);
        test_fill(blocks[slot], 50 + slot, slot);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    atomic_store(&stop, 1);
    pthread_join(thread, NULL);
    trap_collector_end(collector);
    if (n_handled < 100)
        TEST_FAIL("only %d signals arrived", (int)n_handled);
    return 0;
}
