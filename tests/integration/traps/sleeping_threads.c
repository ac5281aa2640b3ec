/* Thousands of threads sleep in different calls, each with a block on its stack alone. usage: sleeping_threads N */
#include <limits.h>
#include <poll.h>
#include <semaphore.h>
#include "trap.h"
enum { MAX = 5000 };
static int n_threads;
static struct trap_thread threads[MAX];
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

int main(int argc, char **argv)
{
    n_threads = argc == 2 ? atoi(argv[1]) : 0;
    TEST_CHECK(n_threads > 0 && n_threads <= MAX);
    TEST_CHECK(pipe(fds) == 0 && sem_init(&semaphore, 0, 0) == 0);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 64 * 1024);
    int n = 0;
    for (; n < n_threads; n++) {
        threads[n].hidden = trap_new();
        if (pthread_create(&threads[n].id, &attr, body, &threads[n]) != 0)
            break;
    }
    if (n < n_threads)
        TEST_SKIP("only %d threads", n);
    for (int i = 0; i < n_threads; i++)
        trap_wait(&threads[i].ready);
    for (int round = 0; round < 3; round++)
        trap_verify();
    pthread_mutex_lock(&mutex);
    is_over = 1;
    pthread_cond_broadcast(&condition);
    pthread_mutex_unlock(&mutex);
    static char bytes[MAX];
    TEST_CHECK(write(fds[1], bytes, (size_t)n_threads) == n_threads);
    for (int i = 0; i < n_threads; i++)
        sem_post(&semaphore);
    for (int i = 0; i < n_threads; i++)
        pthread_join(threads[i].id, NULL);
    return 0;
}
