/* A handler runs on its alternate stack and holds one block; the interrupted frame on the normal stack holds
 * another. */
#include <signal.h>
#include <sys/mman.h>
#include "trap.h"
static struct trap_thread thread;
static uintptr_t hidden_in_handler;

static void handler(int signo)
{
    (void)signo;
    void *volatile block = trap_reveal(hidden_in_handler);
    atomic_store(&thread.ready, 1);
    while (!atomic_load(&thread.release))
        syscall(SYS_sched_yield);
    TEST_CHECK(~(uintptr_t)block == hidden_in_handler);
}

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    enum { BYTES = 128 * 1024 };
    stack_t alternate = {.ss_size = BYTES};
    alternate.ss_sp = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(sigaltstack(&alternate, NULL) == 0);
    void *volatile block = trap_reveal(t->hidden);
    raise(SIGUSR1);
    TEST_CHECK(~(uintptr_t)block == t->hidden);
    alternate.ss_flags = SS_DISABLE;
    sigaltstack(&alternate, NULL);
    return NULL;
}

int main(void)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    thread.hidden = trap_new();
    hidden_in_handler = trap_new();
    trap_thread_start(&thread, body);
    trap_verify();
    trap_thread_end(&thread);
    return 0;
}
