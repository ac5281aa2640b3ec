/* The first that a thread allocates, or a thread that went through no wrapper of ours, may be allocated by a child of vfork, in
 * the thread's memory and under another id. The thread is none that has ended with the child: no other gets its cache (in which
 * blocks would be handed out twice), and collections of another thread end none of its calls. */
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include "trap.h"
enum { N_BYTES = 48, N_WAITS = 20, WAIT_MS = 20, PIECE_SHIFT = 16 };

static void allocate_in_child(void)
{
    int status = 0;
    pid_t pid = vfork();
    TEST_CHECK(pid >= 0);
    if (pid == 0) {
        void *volatile block = malloc(N_BYTES);
        free(block);
        _exit(0);
    }
    TEST_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static _Atomic int has_allocated, is_other_done;

static void *first(void *arg)
{
    struct trap_thread *t = arg;
    allocate_in_child();
    atomic_store(&t->ready, 1);
    trap_wait(&t->release);
    t->hidden = ~(uintptr_t)malloc(N_BYTES);
    atomic_store(&has_allocated, 1);
    trap_wait(&is_other_done);
    free(trap_reveal(t->hidden));
    return NULL;
}

static void *other(void *arg)
{
    void *block = malloc(N_BYTES);
    *(uintptr_t *)arg = ~(uintptr_t)block;
    free(block);
    return NULL;
}

/* Blocks of threads that run lie in different pieces of 64 KiB: who has allocated in one does so alone. */
static void check_cache(void)
{
    struct trap_thread t = {.hidden = 0};
    uintptr_t others_hidden;
    pthread_t id;
    trap_thread_start(&t, first);
    TEST_CHECK(trap_collect());
    atomic_store(&t.release, 1);
    trap_wait(&has_allocated);
    TEST_CHECK(pthread_create(&id, NULL, other, &others_hidden) == 0 && pthread_join(id, NULL) == 0);
    if (t.hidden >> PIECE_SHIFT == others_hidden >> PIECE_SHIFT && !trap_is_peer() && !trap_is_emulated())
        TEST_FAIL("another thread got the cache");
    atomic_store(&is_other_done, 1);
    trap_thread_end(&t);
}

static _Atomic int is_collecting, n_done;

static void by_timer(union sigval value)
{
    (void)value;
    allocate_in_child();
    trap_wait(&is_collecting);
    for (int i = 0; i < N_WAITS; i++)
        if (poll(NULL, 0, WAIT_MS) != 0)
            TEST_FAIL("poll: %s", strerror(errno));
    atomic_store(&n_done, 1);
}

static void check_calls(void)
{
    struct itimerspec soon = {.it_value.tv_nsec = 1};
    struct sigevent event;
    timer_t timer;
    memset(&event, 0, sizeof(event));
    event.sigev_notify = SIGEV_THREAD;
    event.sigev_notify_function = by_timer;
    TEST_CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    TEST_CHECK(timer_settime(timer, 0, &soon, NULL) == 0);
    pthread_t collector = trap_collector_start();
    atomic_store(&is_collecting, 1);
    trap_wait(&n_done);
    trap_collector_end(collector);
}

int main(void)
{
    check_cache();
    check_calls();
    return 0;
}
