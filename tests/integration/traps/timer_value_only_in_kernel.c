/* The value of a POSIX timer's event is in the kernel alone until the timer fires. */
#include <signal.h>
#include <time.h>
#include "trap.h"
static timer_t timer;
static void *volatile received;

static void handler(int signo, siginfo_t *info, void *context)
{
    (void)signo, (void)context;
    received = info->si_value.sival_ptr;
}

static __attribute__((noinline)) void arm(uintptr_t hidden)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    event.sigev_value.sival_ptr = trap_reveal(hidden);
    struct itimerspec in_one_second = {.it_value.tv_sec = 1};
    TEST_CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    TEST_CHECK(timer_settime(timer, 0, &in_one_second, NULL) == 0);
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    uintptr_t hidden = trap_new();
    arm(hidden);
    trap_clear_stack();
    trap_verify();
    for (int i = 0; i < 1000 && received == NULL; i++)
        usleep(10000);
    TEST_CHECK(~(uintptr_t)received == hidden);
    trap_check_targets();
    return 0;
}
