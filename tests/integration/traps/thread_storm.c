/* Threads are born and die all the time, detached and joined, while another thread collects and each new
 * thread reads a block that only its argument names. */
#include "trap.h"
#define N 3000
static _Atomic int n_alive;

static __thread void *local;
static pthread_key_t key;

static void destroy(void *block)
{
    if (!test_is_filled(block, 500, 3))
        TEST_FAIL("a block of a key was reclaimed before its destructor");
    free(block);
    free(malloc(100)); /* the allocator is still there */
}

static void *body(void *arg)
{
    unsigned char *block = arg;
    if (!test_is_filled(block, 300, 9))
        TEST_FAIL("a thread's argument was reclaimed");
    local = malloc(200);
    void *mine = malloc(500);
    test_fill(mine, 500, 3);
    pthread_setspecific(key, mine);
    free(block);
    atomic_fetch_sub(&n_alive, 1);
    return NULL;
}

static __attribute__((noinline)) void start(int i)
{
    unsigned char *block = malloc(300);
    test_fill(block, 300, 9);
    pthread_t id;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, i % 2 ? PTHREAD_CREATE_DETACHED : PTHREAD_CREATE_JOINABLE);
    atomic_fetch_add(&n_alive, 1);
    if (pthread_create(&id, &attr, body, block) != 0)
        TEST_FAIL("pthread_create");
    if (i % 2 == 0)
        pthread_join(id, NULL);
}

int main(void)
{
    pthread_key_create(&key, destroy);
    pthread_t collector = trap_collector_start();
    for (int i = 0; i < N; i++) {
        start(i);
        while (atomic_load(&n_alive) > 50)
            usleep(500);
    }
    while (atomic_load(&n_alive) > 0)
        usleep(500);
    trap_collector_end(collector);
    return 0;
}
