/* A thread that waits for every signal synchronously would consume the one that stops it. */
#include <signal.h>
#include "trap.h"

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    void *volatile block = trap_reveal(t->hidden);
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    atomic_store(&t->ready, 1);
    siginfo_t info;
    int signo = sigwaitinfo(&all, &info);
    if (signo != SIGUSR1)
        TEST_FAIL("sigwaitinfo gave %d (%s)", signo, strerror(errno));
    TEST_CHECK(~(uintptr_t)block == t->hidden);
    return NULL;
}

int main(void)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    struct trap_thread t = {.hidden = trap_new()};
    trap_thread_start(&t, body);
    usleep(20000);
    trap_verify();
    pthread_kill(t.id, SIGUSR1);
    trap_thread_end(&t);
    return 0;
}
