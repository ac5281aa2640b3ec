/* A thread that the library has no record of waits in calls that the kernel never restarts: the collections of another end none of
 * them. One that libc makes inside itself, for a timer here, that has allocated before or not; and one in the last round of the
 * destructors of its keys, when the library has let it go. */
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include "trap.h"
enum { N_WAITS = 20, WAIT_MS = 20, N_TIMERS = 2 };
static _Atomic int n_done;

static void wait_in_calls(void)
{
    struct timespec wait = {.tv_nsec = WAIT_MS * 1000000L};
    for (int i = 0; i < N_WAITS; i++) {
        if (poll(NULL, 0, WAIT_MS) != 0)
            TEST_FAIL("poll: %s", strerror(errno));
        if (nanosleep(&wait, NULL) != 0)
            TEST_FAIL("nanosleep: %s", strerror(errno));
    }
    atomic_fetch_add(&n_done, 1);
}

static void by_timer(union sigval value)
{
    if (value.sival_int != 0)
        free(malloc(TRAP_SIZE));
    wait_in_calls();
}

static pthread_key_t key;

/* The value counts the rounds. */
static void destroy(void *value)
{
    uintptr_t round = (uintptr_t)value;
    if (round < PTHREAD_DESTRUCTOR_ITERATIONS)
        TEST_CHECK(pthread_setspecific(key, (void *)(round + 1)) == 0);
    else
        wait_in_calls();
}

static void *by_destructor(void *arg)
{
    TEST_CHECK(pthread_setspecific(key, (void *)1) == 0);
    return arg;
}

int main(void)
{
    struct itimerspec soon = {.it_value.tv_nsec = 1};
    pthread_t collector = trap_collector_start();
    for (int i = 0; i < N_TIMERS; i++) {
        struct sigevent event;
        timer_t timer;
        memset(&event, 0, sizeof(event));
        event.sigev_notify = SIGEV_THREAD;
        event.sigev_notify_function = by_timer;
        event.sigev_value.sival_int = i;
        TEST_CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
        TEST_CHECK(timer_settime(timer, 0, &soon, NULL) == 0);
    }
    pthread_t id;
    TEST_CHECK(pthread_key_create(&key, destroy) == 0 && pthread_create(&id, NULL, by_destructor, NULL) == 0);
    pthread_join(id, NULL);
    while (atomic_load(&n_done) != N_TIMERS + 1)
        usleep(1000);
    trap_collector_end(collector);
    return 0;
}
