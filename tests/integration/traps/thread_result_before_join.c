/* The result of a thread that has ended lies only in its control block until somebody joins it. */
#include "trap.h"

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    atomic_store(&t->ready, 1);
    return trap_reveal(t->hidden);
}

int main(void)
{
    struct trap_thread threads[10];
    for (int i = 0; i < 10; i++) {
        threads[i] = (struct trap_thread){.hidden = trap_new()};
        trap_thread_start(&threads[i], body);
    }
    usleep(50000); /* all have ended */
    trap_verify();
    for (int i = 0; i < 10; i++) {
        void *block = NULL;
        TEST_CHECK(pthread_join(threads[i].id, &block) == 0);
        TEST_CHECK(~(uintptr_t)block == threads[i].hidden);
    }
    return 0;
}
