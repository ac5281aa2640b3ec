/* The argument of a thread that thrd_create made, not read yet, and the thread's own stack. */
#include <threads.h>
#include "trap.h"
enum { N = 64 };
static _Atomic int go;

static int body(void *arg)
{
    void *volatile block = arg;
    while (!atomic_load(&go))
        thrd_yield();
    return test_is_filled(block, TRAP_SIZE, trap_n_targets) ? 42 : 1;
}

static __attribute__((noinline)) void start(thrd_t *id, uintptr_t hidden)
{
    TEST_CHECK(thrd_create(id, body, trap_reveal(hidden)) == thrd_success);
}

int main(void)
{
    thrd_t ids[N];
    uintptr_t hidden = trap_new();
    start(&ids[0], hidden);
    trap_clear_stack();
    pthread_t collector = trap_collector_start();
    for (int i = 1; i < N; i++) {
        start(&ids[i], hidden);
        if (i % 16 == 0)
            trap_verify();
    }
    trap_collector_end(collector);
    trap_verify();
    atomic_store(&go, 1);
    for (int i = 0; i < N; i++) {
        int result = 0;
        TEST_CHECK(thrd_join(ids[i], &result) == thrd_success && result == 42);
    }
    return 0;
}
