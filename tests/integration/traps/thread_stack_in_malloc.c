/* The stack of a thread is a block of malloc that only the thread library still knows. */
#include "trap.h"
enum { STACK_BYTES = 256 * 1024 };

static __attribute__((noinline)) void start(struct trap_thread *t)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    TEST_CHECK(pthread_attr_setstack(&attr, aligned_alloc(4096, STACK_BYTES), STACK_BYTES) == 0);
    TEST_CHECK(pthread_create(&t->id, &attr, trap_thread_holding, t) == 0);
    pthread_attr_destroy(&attr);
    trap_wait(&t->ready);
}

int main(void)
{
    struct trap_thread threads[4] = {0};
    for (int i = 0; i < 4; i++) {
        threads[i].hidden = trap_new();
        start(&threads[i]);
    }
    trap_clear_stack();
    trap_verify();
    for (int i = 0; i < 50; i++) /* would land in a stack that was reclaimed */
        memset(malloc(STACK_BYTES), 0xee, STACK_BYTES);
    trap_verify();
    for (int i = 0; i < 4; i++)
        trap_thread_end(&threads[i]);
    return 0;
}
