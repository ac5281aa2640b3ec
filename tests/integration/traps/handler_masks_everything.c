/* A handler whose mask has every bit set, also those that libc's functions leave out, runs for long: its thread can be stopped all
 * the same, and its block is kept. */
#include <signal.h>
#include "trap.h"

static struct trap_thread thread;

static void handler(int signo)
{
    void *volatile block = trap_reveal(thread.hidden);
    (void)signo;
    atomic_store(&thread.ready, 1);
    while (!atomic_load(&thread.release))
        __asm__ volatile("" ::: "memory");
    TEST_CHECK(~(uintptr_t)block == thread.hidden);
}

static void *body(void *arg)
{
    raise(SIGUSR1);
    return arg;
}

int main(void)
{
    struct sigaction action = {.sa_handler = handler};
    memset(&action.sa_mask, 0xff, sizeof(action.sa_mask));
    TEST_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    thread.hidden = trap_new();
    trap_thread_start(&thread, body);
    trap_verify();
    trap_thread_end(&thread);
    return 0;
}
