/* SS_AUTODISARM: while a handler runs on the alternate stack there is none, so that it may be left by swapcontext, and others be
 * set meanwhile. What the library put in place of a small one is under the handler still, and must not serve for the next. */
#include <signal.h>
#include <ucontext.h>
#include "trap.h"

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

enum { N_STACKS = 5, SMALL_BYTES = 8 * 1024, COROUTINE_BYTES = 256 * 1024, FRAME_BYTES = 1024 };

static _Alignas(64) char stacks[N_STACKS][SMALL_BYTES];
static char coroutine_stack[COROUTINE_BYTES];
static ucontext_t outside, inside;
static volatile int n_handlers;

static void set_stack(int no)
{
    stack_t s = {.ss_sp = stacks[no], .ss_size = SMALL_BYTES, .ss_flags = (int)SS_AUTODISARM};
    TEST_CHECK(sigaltstack(&s, NULL) == 0);
}

static void on_signal(int sig)
{
    volatile unsigned char own[FRAME_BYTES];
    int no = n_handlers++;
    (void)sig;
    for (int i = 0; i < FRAME_BYTES; i++)
        own[i] = (unsigned char)(no + 1);
    if (no != 0)
        return;
    set_stack(1);
    TEST_CHECK(swapcontext(&inside, &outside) == 0);
    for (int i = 0; i < FRAME_BYTES; i++)
        if (own[i] != no + 1)
            TEST_FAIL("the frame of a handler that was left was overwritten");
}

/* Where the first handler was left for. */
static void coroutine(void)
{
    for (int no = 2; no < N_STACKS; no++) {
        set_stack(no);
        raise(SIGUSR1);
        trap_collect();
    }
    TEST_CHECK(n_handlers == N_STACKS - 1 && setcontext(&inside) == 0);
}

int main(void)
{
    const struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_NODEFER};
    TEST_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    set_stack(0);
    TEST_CHECK(getcontext(&outside) == 0);
    outside.uc_stack = (stack_t){.ss_sp = coroutine_stack, .ss_size = sizeof(coroutine_stack)};
    makecontext(&outside, coroutine, 0);
    raise(SIGUSR1);
    return 0;
}
