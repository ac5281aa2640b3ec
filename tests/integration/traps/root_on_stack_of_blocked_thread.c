/* A block whose only reference is a local of a thread that sleeps in the kernel, deep down its stack. */
#include "trap.h"
static int fds[2];

static __attribute__((noinline)) void descend(struct trap_thread *t, int depth, void *volatile block)
{
    char pad[200];
    memset(pad, depth, sizeof(pad));
    __asm__ volatile("" ::"r"(pad) : "memory");
    if (depth > 0) {
        descend(t, depth - 1, block);
    } else {
        char byte;
        atomic_store(&t->ready, 1);
        TEST_CHECK(read(fds[0], &byte, 1) == 1);
    }
    TEST_CHECK(~(uintptr_t)block == t->hidden);
}

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    descend(t, 500, trap_reveal(t->hidden));
    return NULL;
}

int main(void)
{
    TEST_CHECK(pipe(fds) == 0);
    struct trap_thread t = {.hidden = trap_new()};
    trap_thread_start(&t, body);
    usleep(20000);
    trap_verify();
    TEST_CHECK(write(fds[1], "x", 1) == 1);
    trap_thread_end(&t);
    return 0;
}
