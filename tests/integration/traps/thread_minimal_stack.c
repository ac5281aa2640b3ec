/* Threads with the smallest stack that pthreads allows, and without a guard page: stopping them must fit, and so must the
 * collections that they ask for themselves. */
#include <limits.h>
#include "trap.h"
#define N_THREADS 8

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    void *volatile block = trap_reveal(t->hidden);
    (void)trap_gc(0); /* another thread may be at it */
    atomic_store(&t->ready, 1);
    while (!atomic_load(&t->release))
        sched_yield();
    TEST_CHECK(~(uintptr_t)block == t->hidden);
    return NULL;
}

int main(void)
{
    struct trap_thread threads[N_THREADS] = {0};
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    TEST_CHECK(pthread_attr_setstacksize(&attr, (size_t)PTHREAD_STACK_MIN) == 0);
    for (int i = 0; i < N_THREADS; i++) {
        pthread_attr_setguardsize(&attr, i % 2 ? 4096 : 0);
        threads[i].hidden = trap_new();
        TEST_CHECK(pthread_create(&threads[i].id, &attr, body, &threads[i]) == 0);
        trap_wait(&threads[i].ready);
    }
    for (int i = 0; i < 5; i++)
        trap_verify();
    for (int i = 0; i < N_THREADS; i++)
        trap_thread_end(&threads[i]);
    return 0;
}
