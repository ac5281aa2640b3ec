/* Signals that come to a thread that is stopped wait until it goes on, also where the handler was installed by an instruction
 * of the program's own: each moves a block from one end of what a collection reads to the other. */
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include "raw_action.h"

enum { BETWEEN_BYTES = 8 << 20, EVERY_NS = 30000, N_ROUNDS = 300 };
static struct trap_thread thread;
static uintptr_t *volatile ends[2]; /* words in maps of their own, between which there is much to read */
static volatile int at, n_moved;
static _Atomic pid_t tid;

static void handler(int signo)
{
    (void)signo;
    int to = 1 - at;
    *ends[to] = *ends[at];
    *ends[at] = 0;
    at = to;
    n_moved++;
}

static long install_raw(int signo, const struct raw_action *action)
{
#ifdef __x86_64__
    long result;
    register long bytes __asm__("r10") = sizeof(action->mask);
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_rt_sigaction), "D"((long)signo), "S"(action), "d"(0L), "r"(bytes)
                     : "rcx", "r11", "memory");
    return result;
#else
    return syscall(SYS_rt_sigaction, signo, action, NULL, sizeof(action->mask));
#endif
}

static void install(void)
{
    struct raw_action raw = raw_action_of(handler);
    TEST_CHECK(install_raw(SIGUSR1, &raw) == 0);
}

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    atomic_store(&tid, (pid_t)syscall(SYS_gettid));
    atomic_store(&t->ready, 1);
    while (!atomic_load(&t->release))
        __asm__ volatile("" ::: "memory");
    return NULL;
}

int main(void)
{
    install();
    char *map = mmap(NULL, BETWEEN_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(map != MAP_FAILED);
    memset(map, 1, BETWEEN_BYTES);
    ends[0] = (uintptr_t *)map;
    ends[1] = (uintptr_t *)(map + BETWEEN_BYTES) - 1;
    *ends[0] = *ends[1] = 0;
    thread.hidden = trap_new();
    *ends[0] = ~thread.hidden;
    trap_clear_stack();
    trap_thread_start(&thread, body);
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    struct itimerspec every = {{0, EVERY_NS}, {0, EVERY_NS}};
    event._sigev_un._tid = atomic_load(&tid);
    TEST_CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &every, NULL) == 0);
    for (int i = 0; i < N_ROUNDS; i++) {
        trap_gc(TRAP_GC_FULL);
        trap_check_targets();
    }
    while (n_moved <= N_ROUNDS)
        usleep(1000);
    TEST_CHECK(timer_delete(timer) == 0);
    trap_verify();
    trap_thread_end(&thread);
    TEST_CHECK(~*ends[at] == thread.hidden);
    return 0;
}
