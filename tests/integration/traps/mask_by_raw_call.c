/* A thread that blocked every signal by the system call itself, libc's own two included, cannot be stopped while it
 * waits by a raw call: the cycle is skipped, soon, and nothing is lost; afterwards cycles run again. */
#include <time.h>
#include "trap_asm.h"

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    void *volatile block = trap_reveal(t->hidden);
    uint64_t all = ~UINT64_C(0), old;
    TEST_CHECK(syscall(SYS_rt_sigprocmask, 0, &all, &old, sizeof(all)) == 0);
    atomic_store(&t->ready, 1);
    struct timespec slice = {.tv_nsec = 2000000};
    while (!atomic_load(&t->release))
        syscall(SYS_nanosleep, &slice, NULL);
    TEST_CHECK(syscall(SYS_rt_sigprocmask, 2, &old, NULL, sizeof(old)) == 0);
    TEST_CHECK(~(uintptr_t)block == t->hidden);
    return NULL;
}

#if TRAP_HAS_ASM
/* One that computes, with a block in a register alone: counted as gone, it would lose that. */
static void *computes(void *arg)
{
    struct trap_thread *t = arg;
    uint64_t all = ~UINT64_C(0), old;
    TEST_CHECK(syscall(SYS_rt_sigprocmask, 0, &all, &old, sizeof(all)) == 0);
    TEST_CHECK(TRAP_SPIN(t, "mov %%rax, %%r12", "mov %%r12, %%rax", "r12") == t->hidden);
    TEST_CHECK(syscall(SYS_rt_sigprocmask, 2, &old, NULL, sizeof(old)) == 0);
    return NULL;
}

static void try_computing(void)
{
    struct trap_thread t = {.hidden = trap_new()};
    trap_thread_start(&t, computes);
    trap_gc(TRAP_GC_FULL);
    trap_overwrite(TRAP_SIZE);
    trap_check_targets();
    trap_thread_end(&t);
    trap_forget(t.hidden);
}
#else
static void try_computing(void)
{
}
#endif

int main(void)
{
    try_computing();
    struct trap_thread t = {.hidden = trap_new()};
    trap_thread_start(&t, body);
    for (int i = 0; i < 5; i++) {
        trap_gc(TRAP_GC_FULL);
        trap_overwrite(TRAP_SIZE);
        trap_check_targets();
    }
    trap_thread_end(&t);
    static void *volatile root;
    root = trap_reveal(t.hidden);
    trap_verify();
    TEST_CHECK(root != NULL);
    return 0;
}
