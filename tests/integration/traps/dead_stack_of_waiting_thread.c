/* What a function left on a stack below the call in which the thread waits keeps nothing; and neither do words of the
 * library's own that name the place where the heap begins, which is where the target lies if nothing was allocated
 * before it. */
#include <poll.h>
#include "trap.h"

static __attribute__((noinline)) void leave_behind(struct trap_thread *t)
{
    volatile char depth[16384];
    void *volatile block = trap_reveal(t->hidden);
    depth[0] = block != NULL;
    depth[sizeof(depth) - 1] = 1;
}

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    leave_behind(t);
    atomic_store(&t->ready, 1);
    while (!atomic_load(&t->release))
        poll(NULL, 0, 20);
    return NULL;
}

int main(void)
{
    struct trap_thread t = {.hidden = trap_new()};
    trap_thread_start(&t, body);
    usleep(5000);
    if (!trap_collect())
        TEST_FAIL("every cycle was skipped");
    if (!trap_is_peer() && trap_find(trap_reveal(t.hidden)) != NULL)
        TEST_FAIL("the target was kept");
    trap_thread_end(&t);
    return 0;
}
