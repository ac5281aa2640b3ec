/* alarm, and single shots of the three interval timers, come exactly once each while another thread collects all the time, and
 * what is left of them is said. */
#include <signal.h>
#include <sys/time.h>
#include "trap.h"

enum { N_SHOTS = 30, SHOT_US = 2000, FAR_S = 100 };
static _Atomic int n_signals;

static void handler(int signo)
{
    (void)signo;
    n_signals++;
}

/* Uses time of the processor, which two of the timers count; one that never comes ends by the test's time-out. */
static void wait_for(int n)
{
    while (atomic_load(&n_signals) < n)
        free(malloc(100));
}

static void shoot(__itimer_which_t which, int signo)
{
    struct sigaction action = {.sa_handler = handler};
    struct itimerval shot = {.it_value = {.tv_usec = SHOT_US}}, far = {.it_value = {.tv_sec = FAR_S}}, left;
    TEST_CHECK(sigaction(signo, &action, NULL) == 0);
    atomic_store(&n_signals, 0);
    for (int i = 0; i < N_SHOTS; i++) {
        TEST_CHECK(setitimer(which, &shot, NULL) == 0);
        wait_for(i + 1);
        TEST_CHECK(getitimer(which, &left) == 0 && left.it_value.tv_sec == 0 && left.it_value.tv_usec == 0);
    }
    TEST_CHECK(setitimer(which, &far, NULL) == 0 && getitimer(which, &left) == 0);
    TEST_CHECK(left.it_value.tv_sec > 0 && left.it_value.tv_sec <= FAR_S);
    far.it_value.tv_sec = 0;
    TEST_CHECK(setitimer(which, &far, NULL) == 0 && atomic_load(&n_signals) == N_SHOTS);
}

int main(void)
{
    pthread_t collector = trap_collector_start();
    shoot(ITIMER_REAL, SIGALRM);
    shoot(ITIMER_VIRTUAL, SIGVTALRM);
    shoot(ITIMER_PROF, SIGPROF);
    atomic_store(&n_signals, 0);
    TEST_CHECK(alarm(FAR_S) == 0);
    unsigned left = alarm(1);
    TEST_CHECK(left > 0 && left <= FAR_S);
    while (atomic_load(&n_signals) == 0)
        usleep(10000); /* pause might begin after it */
    TEST_CHECK(alarm(0) == 0 && atomic_load(&n_signals) == 1);
    trap_collector_end(collector);
    return 0;
}
