/* SIGSEGV and SIGBUS that somebody sends come to the program's handlers, each of them and with its value, though the
 * collector takes both signals for its own reads: while it has them it is the only thread that does not block them. */
#include <signal.h>
#include <sys/wait.h>
#include "trap.h"
enum { N_SENT = 400, N_NODES = 300000 };
static _Atomic int n_received[2], last_value[2], stop;

static void handler(int signo, siginfo_t *info, void *context)
{
    (void)context;
    if (info->si_code != SI_QUEUE)
        TEST_FAIL("signal %d with code %d", signo, info->si_code);
    atomic_store(&last_value[signo == SIGBUS], info->si_value.sival_int);
    atomic_fetch_add(&n_received[signo == SIGBUS], 1);
}

static void *collects(void *arg)
{
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGSEGV);
    sigaddset(&both, SIGBUS);
    pthread_sigmask(SIG_UNBLOCK, &both, NULL);
    while (!atomic_load(&stop))
        trap_gc(TRAP_GC_FULL);
    return arg;
}

/* A heap that takes a while to mark. */
static void grow(void)
{
    static void **volatile list;
    for (int i = 0; i < N_NODES; i++) {
        void **node = malloc(64);
        node[0] = list;
        list = node;
    }
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigset_t both;
    TEST_CHECK(sigaction(SIGSEGV, &action, NULL) == 0 && sigaction(SIGBUS, &action, NULL) == 0);
    sigemptyset(&both);
    sigaddset(&both, SIGSEGV);
    sigaddset(&both, SIGBUS);
    TEST_CHECK(pthread_sigmask(SIG_BLOCK, &both, NULL) == 0);
    grow();
    pthread_t collector;
    TEST_CHECK(pthread_create(&collector, NULL, collects, NULL) == 0);
    for (int i = 1; i <= N_SENT; i++) {
        int is_bus = i % 2;
        int before = atomic_load(&n_received[is_bus]);
        TEST_CHECK(sigqueue(getpid(), is_bus ? SIGBUS : SIGSEGV, (union sigval){.sival_int = i}) == 0);
        for (int k = 0; k < 100000 && atomic_load(&n_received[is_bus]) == before; k++)
            usleep(100);
        if (atomic_load(&n_received[is_bus]) != before + 1 || atomic_load(&last_value[is_bus]) != i)
            TEST_FAIL("signal %d did not arrive", i);
    }
    atomic_store(&stop, 1);
    pthread_join(collector, NULL);
    return 0;
}
