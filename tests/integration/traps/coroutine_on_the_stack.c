/* The stacks of coroutines are arrays of the function that switches to them, on the thread's own stack, as in the manual page of
 * makecontext: while one of them runs, what the thread and the other one left lies below it and is in use. On main's stack and on
 * another thread's; the one that runs collects, or another thread. */
#include <ucontext.h>
#include "trap.h"
enum { STACK_BYTES = 128 * 1024, DEPTH_BYTES = 30000, N = 2 };
static ucontext_t home, away[N];
static uintptr_t hidden[N + 1];
static _Atomic int is_running, may_go_on;
static bool collects;

static void run(int which)
{
    void *volatile block = trap_reveal(hidden[which]);
    swapcontext(&away[which], &home); /* parked, with the block on this stack */
    if (collects) {
        trap_verify();
    } else {
        atomic_store(&is_running, 1);
        while (!atomic_load(&may_go_on))
            syscall(SYS_sched_yield);
        atomic_store(&may_go_on, 0);
    }
    TEST_CHECK(~(uintptr_t)block == hidden[which]);
    swapcontext(&away[which], &home);
}

static void make(int which, char *stack)
{
    getcontext(&away[which]);
    away[which].uc_stack.ss_sp = stack;
    away[which].uc_stack.ss_size = STACK_BYTES;
    makecontext(&away[which], (void (*)(void))run, 1, which);
}

/* Deep below the arrays. */
static __attribute__((noinline)) void switch_to(int which)
{
    volatile char between[DEPTH_BYTES];
    void *volatile block = trap_reveal(hidden[N]);
    between[0] = between[DEPTH_BYTES - 1] = 1;
    trap_clear_stack();
    swapcontext(&home, &away[which]);
    TEST_CHECK(~(uintptr_t)block == hidden[N] && between[0] == 1);
}

static void *body(void *arg)
{
    char stacks[N][STACK_BYTES];
    for (int i = 0; i < N; i++)
        make(i, stacks[i]);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < N; i++)
            switch_to(i);
    return arg;
}

static void renew(void)
{
    for (int i = 0; i < N + 1; i++) {
        trap_forget(hidden[i]);
        hidden[i] = trap_new();
    }
}

static void *collect_for_another(void *arg)
{
    for (int i = 0; i < N; i++) {
        trap_wait(&is_running);
        atomic_store(&is_running, 0);
        trap_verify();
        atomic_store(&may_go_on, 1);
    }
    return arg;
}

static void run_on_both(void)
{
    pthread_t id, other;
    for (int on_main = 0; on_main < 2; on_main++) {
        renew();
        if (!collects)
            TEST_CHECK(pthread_create(&other, NULL, collect_for_another, NULL) == 0);
        if (on_main)
            body(NULL);
        else if (pthread_create(&id, NULL, body, NULL) != 0 || pthread_join(id, NULL) != 0)
            TEST_FAIL("a thread");
        if (!collects)
            pthread_join(other, NULL);
    }
}

int main(void)
{
    run_on_both();
    collects = true;
    run_on_both();
    return 0;
}
