/* Threads that block every signal, through libc and (with all 64 bits set) by raw system call. The second
 * kind cannot be stopped by any signal: there the library may skip the cycle, but never reclaim. */
#include <signal.h>
#include "trap.h"

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    void *volatile block = trap_reveal(t->hidden);
    sigset_t all;
    sigfillset(&all);
    TEST_CHECK(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
    atomic_store(&t->ready, 1);
    while (!atomic_load(&t->release))
        sched_yield();
    TEST_CHECK(~(uintptr_t)block == t->hidden);
    return NULL;
}

static void *raw_body(void *arg)
{
    struct trap_thread *t = arg;
    void *volatile block = trap_reveal(t->hidden);
    uint64_t all = UINT64_MAX;
    TEST_CHECK(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof(all)) == 0);
    atomic_store(&t->ready, 1);
    while (!atomic_load(&t->release))
        syscall(SYS_sched_yield);
    TEST_CHECK(~(uintptr_t)block == t->hidden);
    return NULL;
}

int main(void)
{
    struct trap_thread t = {.hidden = trap_new()};
    trap_thread_start(&t, body);
    trap_verify();
    trap_thread_end(&t);
    trap_forget(t.hidden);
    struct trap_thread raw = {.hidden = trap_new()};
    trap_thread_start(&raw, raw_body);
    trap_make_garbage(TRAP_SIZE);
    trap_gc(TRAP_GC_FULL);
    trap_overwrite(TRAP_SIZE);
    trap_check_targets();
    trap_thread_end(&raw);
    trap_forget(raw.hidden);
    static void *volatile root;
    root = trap_reveal(trap_new());
    trap_verify();
    TEST_CHECK(root != NULL);
    return 0;
}
