/* struct epoll_event is packed on x86-64: an array of them holds pointers at 4 bytes beyond an aligned word.
 * On a stack and in static memory. (Blocks of the heap are read by whole words: what stands in an array of
 * events there is registered with the kernel too, where it is found.) */
#include <sys/epoll.h>
#include "trap.h"
#define N 16
static struct epoll_event in_static[N];

static __attribute__((noinline)) void store(struct epoll_event *events)
{
    for (int i = 0; i < N; i++)
        events[i] = (struct epoll_event){.events = EPOLLIN, .data.ptr = trap_reveal(trap_new())};
}

static struct epoll_event *volatile static_events = in_static, *volatile stack_events;

int main(void)
{
    struct epoll_event on_stack[N];
    store(static_events);
    stack_events = on_stack; /* its address escapes: the array stays */
    store(stack_events);
    trap_clear_stack();
    trap_verify();
    TEST_CHECK(stack_events[0].events == EPOLLIN);
    return 0;
}
