/* A handler leaves by siglongjmp, out of a blocking call and out of malloc-heavy code, while another thread
 * collects. The thread is in no call any more then: what it holds further down its stack is kept. */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include "trap.h"
static sigjmp_buf where;
static volatile sig_atomic_t is_armed;

static void handler(int signo)
{
    (void)signo;
    if (is_armed) {
        is_armed = 0;
        siglongjmp(where, 1);
    }
}

static volatile pthread_t main_id;
static _Atomic int stop;
static _Atomic unsigned n_collected;

static void *collects(void *arg)
{
    while (!atomic_load(&stop)) {
        if (trap_gc(TRAP_GC_FULL) == 0)
            atomic_fetch_add(&n_collected, 1);
        usleep(200);
    }
    return arg;
}

/* Below where the call's frame was. What was taken meanwhile is handed out again at once. */
static __attribute__((noinline)) void hold_over_collections(void)
{
    enum { SIZE = 432, N_OTHERS = 300, N_CYCLES = 2 };
    volatile char depth[16384];
    void *others[N_OTHERS];
    unsigned char *volatile held = malloc(SIZE);
    unsigned seen = atomic_load(&n_collected);
    depth[0] = depth[sizeof(depth) - 1] = 0;
    memset(held, 0x22, SIZE);
    while (atomic_load(&n_collected) < seen + N_CYCLES && !trap_is_emulated())
        syscall(SYS_sched_yield);
    for (int i = 0; i < N_OTHERS; i++)
        memset(others[i] = malloc(SIZE), 0xee, SIZE);
    for (int i = 0; i < SIZE; i++)
        if (held[i] != 0x22)
            TEST_FAIL("a block on the stack was taken");
    for (int i = 0; i < N_OTHERS; i++)
        free(others[i]);
    free(held);
}

static void *killer(void *arg)
{
    while (!atomic_load(&stop)) {
        usleep(1500);
        if (is_armed)
            pthread_kill(main_id, SIGUSR1);
    }
    return arg;
}

int main(void)
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGUSR1, &action, NULL);
    main_id = pthread_self();
    static void *volatile root;
    root = trap_reveal(trap_new());
    pthread_t id, collector;
    TEST_CHECK(pthread_create(&collector, NULL, collects, NULL) == 0);
    pthread_create(&id, NULL, killer, NULL);
    for (volatile int i = 0; i < 100; i++) {
        if (sigsetjmp(where, 1) == 0) {
            is_armed = 1;
            while (is_armed)
                poll(NULL, 0, 10000);
        }
        hold_over_collections();
        memset(malloc(TRAP_SIZE), 0xee, TRAP_SIZE);
        free(malloc(1000));
    }
    atomic_store(&stop, 1);
    pthread_join(id, NULL);
    pthread_join(collector, NULL);
    trap_verify();
    TEST_CHECK(root != NULL);
    return 0;
}
