/* A thread runs a signal handler on its alternate stack, or a coroutine, while what lies on its own stack waits: packed structures
 * (struct epoll_event), and the end of a block that fills its slot. Collected by another thread and by the one on the other stack. */
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <ucontext.h>
#include "trap.h"
enum { N_EVENTS = 4, STACK_BYTES = 256 * 1024, ALIGNED = 256 };
static struct trap_thread thread;
static ucontext_t home, away;
static bool collects; /* the one on the other stack does */

static void on_other_stack(int sig)
{
    (void)sig;
    if (collects)
        trap_verify();
    atomic_store(&thread.ready, 1);
    while (!atomic_load(&thread.release))
        syscall(SYS_sched_yield);
}

static void coroutine(void)
{
    on_other_stack(0);
    swapcontext(&away, &home);
}

static __attribute__((noinline)) void fill(struct epoll_event *events, uintptr_t hidden[N_EVENTS], char **end, uintptr_t last)
{
    for (int i = 0; i < N_EVENTS; i++)
        events[i] = (struct epoll_event){.events = EPOLLIN, .data.ptr = trap_reveal(hidden[i])};
    *end = (char *)trap_reveal(last) + ALIGNED;
}

/* aligned_alloc of a whole slot: its end is the start of the next one. */
static __attribute__((noinline)) uintptr_t new_full(void)
{
    void *block = aligned_alloc(ALIGNED, ALIGNED);
    struct trap_block *t = &trap_targets[trap_n_targets++];
    *t = (struct trap_block){.hidden = ~(uintptr_t)block, .size = ALIGNED, .seed = trap_n_targets};
    test_fill(block, ALIGNED, t->seed);
    return t->hidden;
}

static void *new_stack(void)
{
    void *p = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(p != MAP_FAILED);
    return p;
}

static void leave_by_signal(void)
{
    stack_t alternate = {.ss_sp = new_stack(), .ss_size = STACK_BYTES}, none = {.ss_flags = SS_DISABLE};
    TEST_CHECK(sigaltstack(&alternate, NULL) == 0);
    raise(SIGUSR1);
    TEST_CHECK(sigaltstack(&none, NULL) == 0);
}

static void leave_by_context(void)
{
    getcontext(&away);
    away.uc_stack.ss_sp = new_stack();
    away.uc_stack.ss_size = STACK_BYTES;
    makecontext(&away, coroutine, 0);
    swapcontext(&home, &away);
}

static void hold(void (*leave)(void))
{
    struct epoll_event events[N_EVENTS];
    char *volatile end;
    uintptr_t hidden[N_EVENTS], last = new_full();
    for (int i = 0; i < N_EVENTS; i++)
        hidden[i] = trap_new();
    fill(events, hidden, (char **)&end, last);
    trap_clear_stack();
    leave();
    for (int i = 0; i < N_EVENTS; i++) {
        TEST_CHECK(~(uintptr_t)events[i].data.ptr == hidden[i]);
        trap_forget(hidden[i]);
    }
    TEST_CHECK(~((uintptr_t)end - ALIGNED) == last);
    trap_forget(last);
}

static void *by_signal(void *arg)
{
    hold(leave_by_signal);
    return arg;
}

static void *by_context(void *arg)
{
    hold(leave_by_context);
    return arg;
}

int main(void)
{
    void *(*const bodies[])(void *) = {by_signal, by_context};
    struct sigaction action = {.sa_handler = on_other_stack, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < 4; i++) {
        thread = (struct trap_thread){0};
        collects = i % 2 == 1;
        trap_thread_start(&thread, bodies[i / 2]);
        trap_verify();
        trap_thread_end(&thread);
    }
    return 0;
}
