/* An alternate stack of MINSIGSTKSZ is too small for a frame with wide registers: being stopped on it must
 * not crash. */
#include <signal.h>
#include "trap.h"
static void *body(void *arg)
{
    struct trap_thread *t = arg;
    static __thread char small[2048 + 64];
    stack_t alternate = {.ss_sp = small, .ss_size = 2048}, back;
    if (sigaltstack(&alternate, NULL) != 0)
        alternate.ss_size = 0; /* the kernel itself refuses it here */
    if (alternate.ss_size != 0)
        TEST_CHECK(sigaltstack(NULL, &back) == 0 && back.ss_sp == small && back.ss_size == 2048);
    void *volatile block = trap_reveal(t->hidden);
    atomic_store(&t->ready, 1);
    while (!atomic_load(&t->release))
        syscall(SYS_sched_yield);
    TEST_CHECK(~(uintptr_t)block == t->hidden);
    alternate.ss_flags = SS_DISABLE;
    sigaltstack(&alternate, NULL);
    return NULL;
}

int main(void)
{
    struct trap_thread t = {.hidden = trap_new()};
    trap_thread_start(&t, body);
    for (int i = 0; i < 20; i++)
        trap_verify_kept();
    trap_thread_end(&t);
    return 0;
}
