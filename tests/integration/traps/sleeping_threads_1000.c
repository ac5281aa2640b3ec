/* A thousand threads sleep in different calls, each with a block on its stack alone. */
#include <limits.h>
#include <poll.h>
#include <semaphore.h>
#include "trap.h"
#define N 1000
static struct trap_thread threads[N];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int is_over, fds[2];
static sem_t semaphore;

static void sleep_in(long which)
{
    char byte;
    struct pollfd p = {.fd = fds[0], .events = POLLIN};
    switch (which % 4) {
    case 0:
        pthread_mutex_lock(&mutex);
        while (!is_over)
            pthread_cond_wait(&condition, &mutex);
        pthread_mutex_unlock(&mutex);
        break;
    case 1:
        TEST_CHECK(read(fds[0], &byte, 1) == 1);
        break;
    case 2:
        TEST_CHECK(poll(&p, 1, -1) == 1);
        break;
    default:
        TEST_CHECK(sem_wait(&semaphore) == 0);
    }
}

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    void *volatile block = trap_reveal(t->hidden);
    atomic_store(&t->ready, 1);
    sleep_in(t - threads);
    TEST_CHECK(~(uintptr_t)block == t->hidden);
    return NULL;
}

int main(void)
{
    TEST_CHECK(pipe(fds) == 0 && sem_init(&semaphore, 0, 0) == 0);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 64 * 1024);
    int n = 0;
    for (; n < N; n++) {
        threads[n].hidden = trap_new();
        if (pthread_create(&threads[n].id, &attr, body, &threads[n]) != 0)
            break;
    }
    if (n < N)
        TEST_SKIP("only %d threads", n);
    for (int i = 0; i < N; i++)
        trap_wait(&threads[i].ready);
    for (int round = 0; round < 3; round++)
        trap_verify();
    pthread_mutex_lock(&mutex);
    is_over = 1;
    pthread_cond_broadcast(&condition);
    pthread_mutex_unlock(&mutex);
    static char bytes[N];
    TEST_CHECK(write(fds[1], bytes, N) == N);
    for (int i = 0; i < N; i++)
        sem_post(&semaphore);
    for (int i = 0; i < N; i++)
        pthread_join(threads[i].id, NULL);
    return 0;
}
