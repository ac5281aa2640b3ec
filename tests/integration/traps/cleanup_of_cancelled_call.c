/* A thread is cancelled inside a wrapped blocking call: while its cleanup handlers run it is no longer standing in that
 * call, so what only a handler's frame holds is kept. */
#include <poll.h>
#include "trap.h"

static _Atomic int is_in_cleanup, may_end;
static void *volatile after_the_thread;

/* Deep enough that nothing of it lies above the frame of the call that was left. */
static __attribute__((noinline)) void hold_while_collecting(struct trap_thread *t)
{
    volatile char depth[16384];
    void *volatile block = trap_reveal(t->hidden);
    depth[0] = 1;
    atomic_store(&is_in_cleanup, 1);
    while (!atomic_load(&may_end))
        depth[0]++;
    after_the_thread = block;
}

static void cleanup(void *arg)
{
    hold_while_collecting(arg);
}

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    pthread_cleanup_push(cleanup, t);
    atomic_store(&t->ready, 1);
    for (;;)
        poll(NULL, 0, -1);
    pthread_cleanup_pop(0);
    return NULL;
}

int main(void)
{
    struct trap_thread t = {.hidden = trap_new()};
    trap_thread_start(&t, body);
    usleep(20000);
    TEST_CHECK(pthread_cancel(t.id) == 0);
    trap_wait(&is_in_cleanup);
    trap_verify();
    atomic_store(&may_end, 1);
    void *result = NULL;
    TEST_CHECK(pthread_join(t.id, &result) == 0 && result == PTHREAD_CANCELED);
    TEST_CHECK(after_the_thread == trap_reveal(t.hidden));
    return 0;
}
