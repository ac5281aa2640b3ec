/* An alternate stack with room for the frame of a signal and a small handler: a thread that is stopped in that handler must neither
 * crash nor write below the stack, where a page lies that nobody may touch. */
#include <signal.h>
#include <sys/mman.h>
#include "trap.h"

enum { PAGE = 65536, HANDLER_BYTES = 1024 };
static struct trap_thread thread;
static uintptr_t frame_lo;

/* What the kernel says that a frame may need is more than it needs in a program that does not use all registers. */
static void measure(int signo)
{
    (void)signo;
    frame_lo = (uintptr_t)__builtin_frame_address(0);
}

static size_t frame_bytes(void)
{
    static char large[PAGE];
    struct sigaction action = {.sa_handler = measure, .sa_flags = SA_ONSTACK};
    stack_t alternate = {.ss_sp = large, .ss_size = sizeof(large)};
    TEST_CHECK(sigaction(SIGUSR2, &action, NULL) == 0 && sigaltstack(&alternate, NULL) == 0);
    raise(SIGUSR2);
    return (uintptr_t)large + sizeof(large) - frame_lo;
}

static void handler(int signo)
{
    void *volatile block = trap_reveal(thread.hidden);
    (void)signo;
    atomic_store(&thread.ready, 1);
    while (!atomic_load(&thread.release))
        syscall(SYS_sched_yield);
    TEST_CHECK(~(uintptr_t)block == thread.hidden);
}

static void *body(void *arg)
{
    char *map = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *small = map + PAGE;
    stack_t alternate = {.ss_sp = small, .ss_size = frame_bytes() + HANDLER_BYTES}, back;
    TEST_CHECK(map != MAP_FAILED && mprotect(small, PAGE, PROT_READ | PROT_WRITE) == 0);
    if (sigaltstack(&alternate, NULL) != 0)
        TEST_SKIP("the kernel takes no stack of so little room");
    TEST_CHECK(sigaltstack(NULL, &back) == 0 && back.ss_sp == small && back.ss_size == alternate.ss_size);
    raise(SIGUSR1);
    alternate.ss_flags = SS_DISABLE;
    sigaltstack(&alternate, NULL);
    munmap(map, 2 * PAGE);
    return arg;
}

int main(void)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    TEST_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    thread.hidden = trap_new();
    trap_thread_start(&thread, body);
    for (int i = 0; i < 20; i++)
        trap_verify_kept();
    trap_thread_end(&thread);
    return 0;
}
