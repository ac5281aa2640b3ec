/* The pointer of an epoll registration is in the kernel alone until epoll_wait hands it back. */
#include <sys/epoll.h>
#include "trap.h"
#define N 20
static int epoll_fd, pipes[N][2];

static __attribute__((noinline)) void enlist(int i, uintptr_t hidden)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = trap_reveal(hidden)};
    TEST_CHECK(pipe(pipes[i]) == 0);
    TEST_CHECK(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pipes[i][0], &event) == 0);
}

int main(void)
{
    uintptr_t hidden[N];
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < N; i++)
        enlist(i, hidden[i] = trap_new());
    trap_clear_stack();
    trap_verify();
    for (int i = 0; i < N; i++) {
        struct epoll_event event;
        TEST_CHECK(write(pipes[i][1], "x", 1) == 1);
        TEST_CHECK(epoll_wait(epoll_fd, &event, 1, 1000) == 1 && ~(uintptr_t)event.data.ptr == hidden[i]);
        char byte;
        TEST_CHECK(read(pipes[i][0], &byte, 1) == 1);
    }
    return 0;
}
