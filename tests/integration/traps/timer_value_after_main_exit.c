/* Once the main thread has exited the kernel no longer lists timers; the value of one that is armed is kept all the
 * same. A deleted timer keeps nothing. */
#include <signal.h>
#include <time.h>
#include "trap.h"
static timer_t timer;
static pthread_t main_thread;
static uintptr_t hidden;

static __attribute__((noinline)) void create(uintptr_t target)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    event.sigev_value.sival_ptr = trap_reveal(target);
    TEST_CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
}

static void *body(void *arg)
{
    siginfo_t info;
    sigset_t set;
    struct itimerspec soon = {.it_value.tv_nsec = 1000000};
    (void)arg;
    pthread_join(main_thread, NULL);
    usleep(20000);
    trap_verify();
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    TEST_CHECK(timer_settime(timer, 0, &soon, NULL) == 0);
    TEST_CHECK(sigwaitinfo(&set, &info) == SIGUSR1);
    TEST_CHECK(~(uintptr_t)info.si_value.sival_ptr == hidden);
    memset(&info, 0, sizeof(info));
    TEST_CHECK(timer_delete(timer) == 0);
    trap_forget(hidden);
    trap_clear_stack();
    TEST_CHECK(trap_collect());
    if (!trap_is_peer() && trap_find(trap_reveal(hidden)) != NULL)
        TEST_FAIL("a deleted timer keeps its value");
    _exit(0);
}

int main(void)
{
    sigset_t set;
    pthread_t id;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    main_thread = pthread_self();
    hidden = trap_new();
    create(hidden);
    trap_clear_stack();
    TEST_CHECK(pthread_create(&id, NULL, body, NULL) == 0);
    pthread_exit(NULL);
}
