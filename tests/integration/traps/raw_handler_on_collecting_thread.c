/* A handler that the program installed by the system call itself, and that waits for another thread to do something, does not run
 * while that thread stands still: it comes to the collecting thread before or after. Otherwise this never ends. */
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include "raw_action.h"

enum { CONTENT_BYTES = 32 << 20, AFTER_NS = 1000000, N_ROUNDS = 50 };
static volatile unsigned n_done;
static volatile unsigned n_handled;
static _Atomic int is_over;

static void handler(int signo)
{
    unsigned before = n_done;
    (void)signo;
    while (n_done == before)
        syscall(SYS_sched_yield);
    n_handled++;
}

static void *body(void *arg)
{
    while (!atomic_load(&is_over))
        n_done++;
    return arg;
}

int main(void)
{
    struct raw_action raw = raw_action_of(handler);
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    struct itimerspec once = {{0, 0}, {0, AFTER_NS}};
    timer_t timer;
    pthread_t id;
    char *content = mmap(NULL, CONTENT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(content != MAP_FAILED); /* so that a stop takes long enough for the timer */
    memset(content, 1, CONTENT_BYTES);
    TEST_CHECK(pthread_create(&id, NULL, body, NULL) == 0);
    TEST_CHECK(syscall(SYS_rt_sigaction, SIGUSR1, &raw, NULL, sizeof(raw.mask)) == 0);
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    TEST_CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    for (int i = 0; i < N_ROUNDS || n_handled == 0; i++) {
        TEST_CHECK(timer_settime(timer, 0, &once, NULL) == 0);
        trap_gc(TRAP_GC_FULL);
    }
    TEST_CHECK(timer_delete(timer) == 0);
    TEST_CHECK(trap_collect() || trap_is_emulated() || trap_is_peer());
    atomic_store(&is_over, 1);
    pthread_join(id, NULL);
    return 0;
}
