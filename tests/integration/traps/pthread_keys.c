/* Blocks referenced by pthread_setspecific alone: the first keys lie in the thread's control block, those
 * beyond 32 in blocks that hang from it. */
#include "trap.h"
#define N_KEYS 100
static pthread_key_t keys[N_KEYS];
static uintptr_t hidden[2][N_KEYS];

static __attribute__((noinline)) void store(int who)
{
    for (int i = 0; i < N_KEYS; i++)
        TEST_CHECK(pthread_setspecific(keys[i], trap_reveal(hidden[who][i])) == 0);
}

static void check(int who)
{
    for (int i = 0; i < N_KEYS; i++)
        TEST_CHECK(~(uintptr_t)pthread_getspecific(keys[i]) == hidden[who][i]);
}

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    store(1);
    trap_clear_stack();
    atomic_store(&t->ready, 1);
    while (!atomic_load(&t->release))
        usleep(1000);
    check(1);
    return NULL;
}

int main(void)
{
    struct trap_thread t = {0};
    for (int i = 0; i < N_KEYS; i++) {
        TEST_CHECK(pthread_key_create(&keys[i], NULL) == 0);
        hidden[0][i] = trap_new();
        hidden[1][i] = trap_new();
    }
    store(0);
    trap_thread_start(&t, body);
    trap_verify();
    check(0);
    trap_thread_end(&t);
    return 0;
}
