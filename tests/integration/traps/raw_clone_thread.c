/* A thread made by clone itself, unknown to the thread library; a block is on its stack alone. */
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include "trap.h"
enum { STACK_BYTES = 64 * 1024 };
static _Atomic int ready, release, alive = 1;
static uintptr_t hidden, after;

/* Shares thread-local storage with main: nothing of libc here. */
static int body(void *arg)
{
    (void)arg;
    void *volatile block = trap_reveal(hidden);
    atomic_store(&ready, 1);
    while (!atomic_load(&release))
        __asm__ volatile("" ::: "memory");
    after = ~(uintptr_t)block;
    return 0;
}

int main(void)
{
    hidden = trap_new();
    char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                CLONE_CHILD_CLEARTID;
    TEST_CHECK(clone(body, stack + STACK_BYTES, flags, NULL, NULL, NULL, &alive) > 0);
    trap_wait(&ready);
    trap_verify();
    atomic_store(&release, 1);
    while (atomic_load(&alive) != 0)
        usleep(1000);
    TEST_CHECK(after == hidden);
    return 0;
}
