/* struct epoll_event is packed on x86-64: an array of them holds pointers at 4 bytes beyond an aligned word.
 * On a stack, in static memory, and in blocks of malloc of several sizes, none of which the kernel knows about. */
#include <stdlib.h>
#include <sys/epoll.h>
#include "trap.h"
#define N 16
#define N_BLOCKS 5
static struct epoll_event in_static[N];

static __attribute__((noinline)) void store(struct epoll_event *events, int n)
{
    for (int i = 0; i < n; i++)
        events[i] = (struct epoll_event){.events = EPOLLIN, .data.ptr = trap_reveal(trap_new())};
}

static struct epoll_event *volatile static_events = in_static, *volatile stack_events, *volatile blocks[N_BLOCKS];

int main(void)
{
    static const int lengths[N_BLOCKS] = {1, 4, 20, 400, 10000};
    struct epoll_event on_stack[N];
    store(static_events, N);
    stack_events = on_stack; /* its address escapes: the array stays */
    store(stack_events, N);
    for (int i = 0; i < N_BLOCKS; i++) {
        blocks[i] = malloc((size_t)lengths[i] * sizeof(struct epoll_event));
        store(blocks[i], lengths[i] < N ? lengths[i] : N);
    }
    trap_clear_stack();
    trap_verify();
    TEST_CHECK(stack_events[0].events == EPOLLIN);
    return 0;
}
