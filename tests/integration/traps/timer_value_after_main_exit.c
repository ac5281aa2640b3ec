/* Once the main thread has exited the kernel no longer lists timers; the value of one that is armed is kept all the
 * same. Deleted timers keep nothing: most of their blocks go (a stale copy may keep one or another). */
#include <signal.h>
#include <time.h>
#include "trap.h"
enum { N_TIMERS = 16, N_GONE_MIN = 12 };
static timer_t timers[N_TIMERS];
static pthread_t main_thread;
static uintptr_t hidden[N_TIMERS];

static __attribute__((noinline)) void create(uintptr_t target, timer_t *timer)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    event.sigev_value.sival_ptr = trap_reveal(target);
    TEST_CHECK(timer_create(CLOCK_MONOTONIC, &event, timer) == 0);
}

static __attribute__((noinline)) int count_gone(void)
{
    int n = 0;
    for (int i = 0; i < N_TIMERS; i++)
        n += trap_find(trap_reveal(hidden[i])) == NULL;
    return n;
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
    TEST_CHECK(timer_settime(timers[0], 0, &soon, NULL) == 0);
    TEST_CHECK(sigwaitinfo(&set, &info) == SIGUSR1);
    TEST_CHECK(~(uintptr_t)info.si_value.sival_ptr == hidden[0]);
    memset(&info, 0, sizeof(info));
    for (int i = 0; i < N_TIMERS; i++) {
        TEST_CHECK(timer_delete(timers[i]) == 0);
        trap_forget(hidden[i]);
    }
    trap_clear_stack();
    TEST_CHECK(trap_collect());
    if (!trap_is_peer() && count_gone() < N_GONE_MIN)
        TEST_FAIL("only %d of %d blocks of deleted timers are gone", count_gone(), (int)N_TIMERS);
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
    for (int i = 0; i < N_TIMERS; i++) {
        hidden[i] = trap_new();
        create(hidden[i], &timers[i]);
    }
    trap_clear_stack();
    TEST_CHECK(pthread_create(&id, NULL, body, NULL) == 0);
    pthread_exit(NULL);
}
