/* Blocks referenced from thread-local variables of the program alone: of main, and of another thread. */
#include "trap.h"
static __thread void *volatile initialised = &trap_n_targets, *volatile zeroed[10];

static __attribute__((noinline)) void store(uintptr_t a, uintptr_t b)
{
    initialised = trap_reveal(a);
    zeroed[7] = trap_reveal(b);
}

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    store(t->hidden, t->hidden);
    trap_clear_stack();
    atomic_store(&t->ready, 1);
    while (!atomic_load(&t->release))
        sched_yield();
    TEST_CHECK(~(uintptr_t)zeroed[7] == t->hidden);
    return NULL;
}

int main(void)
{
    struct trap_thread t = {.hidden = trap_new()};
    store(trap_new(), trap_new());
    trap_thread_start(&t, body);
    trap_verify();
    trap_thread_end(&t);
    return 0;
}
