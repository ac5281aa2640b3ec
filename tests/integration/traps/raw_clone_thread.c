/* A thread made by clone itself, unknown to the thread library; a block is on its stack alone, where we can say so in a
 * register alone: the thread must have been stopped. */
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include "trap_asm.h"
enum { STACK_BYTES = 64 * 1024 };
static struct trap_thread t;
static _Atomic int alive = 1;
static uintptr_t after;

/* Shares thread-local storage with main: nothing of libc here. */
static int body(void *arg)
{
    (void)arg;
    after = trap_hold_until_released(&t);
    return 0;
}

int main(void)
{
    t.hidden = trap_new();
    char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                CLONE_CHILD_CLEARTID;
    TEST_CHECK(clone(body, stack + STACK_BYTES, flags, NULL, NULL, NULL, &alive) > 0);
    trap_wait(&t.ready);
    trap_verify();
    atomic_store(&t.release, 1);
    while (atomic_load(&alive) != 0)
        usleep(1000);
    TEST_CHECK(after == t.hidden);
    return 0;
}
