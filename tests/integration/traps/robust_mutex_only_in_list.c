/* A block with a robust mutex, or one with priority inheritance, that a thread has locked: only the list that the kernel walks
 * when the thread ends leads to it, with a tag in the lowest bit for the second. Who ends marks it as left behind. */
#include "trap.h"
enum { N_KINDS = 2 };
struct guarded {
    pthread_mutex_t mutex;
    char rest[TRAP_SIZE - sizeof(pthread_mutex_t)];
};
static uintptr_t hidden[N_KINDS];

static __attribute__((noinline)) void make(int kind)
{
    struct guarded *g = malloc(sizeof(*g));
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    TEST_CHECK(pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) == 0);
    if (kind == 1)
        TEST_CHECK(pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT) == 0);
    TEST_CHECK(g != NULL && pthread_mutex_init(&g->mutex, &attr) == 0);
    hidden[kind] = ~(uintptr_t)g;
}

static __attribute__((noinline)) void lock_all(void)
{
    for (int kind = 0; kind < N_KINDS; kind++)
        TEST_CHECK(pthread_mutex_lock(&((struct guarded *)trap_reveal(hidden[kind]))->mutex) == 0);
}

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    lock_all();
    trap_clear_stack();
    atomic_store(&t->ready, 1);
    while (!atomic_load(&t->release))
        usleep(1000);
    return NULL;
}

int main(void)
{
    static struct trap_thread t;
    for (int kind = 0; kind < N_KINDS; kind++)
        make(kind);
    trap_thread_start(&t, body);
    trap_clear_stack();
    trap_round(TRAP_SIZE, false);
    trap_thread_end(&t);
    for (int kind = 0; kind < N_KINDS; kind++) {
        struct guarded *g = trap_reveal(hidden[kind]);
        if (trap_find(g) != g)
            TEST_FAIL("the mutex of kind %d was reclaimed", kind);
        TEST_CHECK(pthread_mutex_lock(&g->mutex) == EOWNERDEAD);
    }
    return 0;
}
