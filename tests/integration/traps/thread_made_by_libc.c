/* A thread that libc makes inside itself, for a timer here, went through no wrapper of ours: it is found, stopped, and its
 * stack and registers are roots. */
#include <signal.h>
#include <time.h>
#include "trap_asm.h"
static struct trap_thread t;
static uintptr_t after;

static void body(union sigval value)
{
    (void)value;
    after = trap_hold_until_released(&t);
    atomic_store(&t.ready, 2);
}

int main(void)
{
    t.hidden = trap_new();
    struct sigevent event;
    memset(&event, 0, sizeof(event));
    event.sigev_notify = SIGEV_THREAD;
    event.sigev_notify_function = body;
    struct itimerspec soon = {.it_value.tv_nsec = 1};
    timer_t timer;
    TEST_CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    TEST_CHECK(timer_settime(timer, 0, &soon, NULL) == 0);
    trap_wait(&t.ready);
    trap_verify();
    atomic_store(&t.release, 1);
    while (atomic_load(&t.ready) != 2)
        usleep(1000);
    TEST_CHECK(after == t.hidden);
    return 0;
}
