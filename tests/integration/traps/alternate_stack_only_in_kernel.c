/* The kernel holds the only pointer to an alternate signal stack that the program allocated: of the collecting thread, of
 * one that computes, and of one that waits in a call. One that is large enough is not exchanged for ours. */
#include "raw_altstack.h"
#include "trap.h"
enum { BYTES = 256 * 1024, N_THREADS = 2 };
static struct trap_thread threads[N_THREADS];
static _Atomic int n_handled;

static void handler(int signo)
{
    (void)signo;
    atomic_fetch_add(&n_handled, 1);
}

/* By an instruction of our own where the library is to ask the kernel, of itself or in the frame of a stopped thread. */
static __attribute__((noinline)) void install(uintptr_t hidden, bool by_instruction)
{
    stack_t alternate = {.ss_sp = trap_reveal(hidden), .ss_size = BYTES};
    if (by_instruction)
        TEST_CHECK(raw_sigaltstack(&alternate, NULL) == 0);
    else
        TEST_CHECK(sigaltstack(&alternate, NULL) == 0);
}

static __attribute__((noinline)) void *body(void *arg)
{
    struct trap_thread *t = arg;
    install(t->hidden, t != &threads[0]);
    trap_clear_stack();
    atomic_store(&t->ready, 1);
    while (!atomic_load(&t->release)) {
        if (t == &threads[0])
            usleep(100000);
        else
            syscall(SYS_sched_yield);
    }
    trap_forget(t->hidden); /* the frame overwrites it */
    raise(SIGUSR1);
    return NULL;
}

int main(void)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    TEST_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    uintptr_t own = trap_new_sized(BYTES);
    install(own, true);
    for (int i = 0; i < N_THREADS; i++) {
        threads[i].hidden = trap_new_sized(BYTES);
        trap_thread_start(&threads[i], body);
    }
    trap_clear_stack();
    for (int i = 0; i < 3; i++) {
        TEST_CHECK(trap_collect() || trap_is_emulated());
        for (unsigned n = 0; n < trap_n_targets; n++)
            TEST_CHECK(trap_find(trap_reveal(trap_targets[n].hidden)) == trap_reveal(trap_targets[n].hidden));
    }
    for (int i = 0; i < N_THREADS; i++)
        trap_thread_end(&threads[i]);
    trap_forget(own);
    raise(SIGUSR1);
    TEST_CHECK(atomic_load(&n_handled) == N_THREADS + 1);
    return 0;
}
