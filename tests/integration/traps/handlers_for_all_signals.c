/* A program installs its own handler for every number that sigaction lets it, reads them back, and ignores
 * them all again; collections go on, and each signal that it sends reaches its handler. */
#include <signal.h>
#include "trap.h"
static volatile sig_atomic_t got[65];

static void handler(int signo)
{
    got[signo]++;
}

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    void *volatile block = trap_reveal(t->hidden);
    atomic_store(&t->ready, 1);
    while (!atomic_load(&t->release))
        sched_yield();
    TEST_CHECK(~(uintptr_t)block == t->hidden);
    return NULL;
}

int main(void)
{
    struct trap_thread t = {.hidden = trap_new()};
    trap_thread_start(&t, body);
    int taken[65] = {0};
    for (int signo = 1; signo <= 64; signo++) {
        struct sigaction action = {.sa_handler = handler}, back;
        taken[signo] = sigaction(signo, &action, NULL) == 0;
        if (taken[signo])
            TEST_CHECK(sigaction(signo, NULL, &back) == 0 && back.sa_handler == handler);
    }
    trap_verify();
    for (int signo = 1; signo <= 64; signo++) {
        if (!taken[signo])
            continue;
        raise(signo);
        if (got[signo] != 1)
            TEST_FAIL("signal %d reached its handler %d times", signo, (int)got[signo]);
    }
    trap_verify();
    for (int signo = 1; signo <= 64; signo++)
        if (taken[signo])
            signal(signo, SIG_IGN);
    trap_verify();
    trap_thread_end(&t);
    TEST_CHECK(SIGRTMAX == 64 && SIGRTMIN == 34); /* no number was taken from the program */
    return 0;
}
