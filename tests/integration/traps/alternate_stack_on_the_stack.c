/* The alternate signal stack is an array of an outer function, on the thread's own stack: what the handler interrupted lies below it
 * and is in use. The handler runs on, waits in a call, or collects itself; and the thread that collects is another or this one. */
#include <poll.h>
#include <signal.h>
#include "trap.h"
enum { STACK_BYTES = 256 * 1024, DEPTH_BYTES = 40000, N_WAYS = 3 };
static struct trap_thread thread;
static int way, fds[2];

static void handler(int sig)
{
    struct pollfd fd = {.fd = fds[0], .events = POLLIN};
    (void)sig;
    if (way == 2)
        trap_verify();
    atomic_store(&thread.ready, 1);
    if (way == 1)
        TEST_CHECK(poll(&fd, 1, -1) == 1);
    while (!atomic_load(&thread.release))
        syscall(SYS_sched_yield);
}

/* Deep below the array. */
static __attribute__((noinline)) void interrupted(uintptr_t hidden)
{
    volatile char between[DEPTH_BYTES];
    void *volatile block = trap_reveal(hidden);
    between[0] = between[DEPTH_BYTES - 1] = 1;
    raise(SIGUSR1);
    TEST_CHECK(~(uintptr_t)block == hidden && between[0] == 1);
}

static void *body(void *arg)
{
    char array[STACK_BYTES];
    stack_t alternate = {.ss_sp = array, .ss_size = sizeof(array)}, none = {.ss_flags = SS_DISABLE};
    memset(array, 0, sizeof(array));
    TEST_CHECK(sigaltstack(&alternate, NULL) == 0);
    interrupted(thread.hidden);
    TEST_CHECK(sigaltstack(&none, NULL) == 0);
    return arg;
}

int main(void)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    TEST_CHECK(pipe(fds) == 0);
    for (way = 0; way < N_WAYS; way++) {
        thread = (struct trap_thread){.hidden = trap_new()};
        trap_thread_start(&thread, body);
        if (way == 1)
            usleep(20000); /* into the call */
        trap_verify();
        if (way == 1)
            TEST_CHECK(write(fds[1], "", 1) == 1);
        trap_thread_end(&thread);
        trap_forget(thread.hidden);
    }
    return 0;
}
