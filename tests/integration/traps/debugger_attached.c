/* A debugger holds one thread for a while, then lets it go on: cycles are skipped meanwhile, soon, nothing is lost, and
 * afterwards they run again. The debugger must not see the stop as an end of the program either. */
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include "trap_asm.h"
static _Atomic pid_t tid;
static int is_held[2];

/* With the block in a register alone, where the machine is known: counted as gone, the thread would lose it. */
static void *body(void *arg)
{
    struct trap_thread *t = arg;
    atomic_store(&tid, (pid_t)syscall(SYS_gettid));
#if TRAP_HAS_ASM
    TEST_CHECK(TRAP_SPIN(t, "mov %%rax, %%r12", "mov %%r12, %%rax", "r12") == t->hidden);
#else
    void *volatile block = trap_reveal(t->hidden);
    atomic_store(&t->ready, 1);
    while (!atomic_load(&t->release))
        syscall(SYS_sched_yield);
    TEST_CHECK(~(uintptr_t)block == t->hidden);
#endif
    return NULL;
}

/* Seizes the thread, holds it for 300 ms, passes its signals on for as much again, and lets go. */
static int debugger(pid_t thread)
{
    int status;
    if (ptrace(PTRACE_SEIZE, thread, NULL, NULL) != 0)
        return TEST_EXIT_SKIPPED;
    if (ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) != 0 || waitpid(thread, &status, __WALL) != thread)
        return 1;
    TEST_CHECK(write(is_held[1], "", 1) == 1);
    usleep(300000);
    for (int i = 0; i < 300; i++) {
        int signo = WIFSTOPPED(status) && status >> 16 == 0 ? WSTOPSIG(status) : 0;
        ptrace(PTRACE_CONT, thread, NULL, (long)signo);
        usleep(1000);
        while (waitpid(thread, &status, __WALL | WNOHANG) == 0) {
            ptrace(PTRACE_INTERRUPT, thread, NULL, NULL);
            usleep(200);
        }
        if (WIFEXITED(status) || WIFSIGNALED(status))
            return 2;
    }
    ptrace(PTRACE_DETACH, thread, NULL, NULL);
    return 0;
}

int main(void)
{
    struct trap_thread t = {.hidden = trap_new()};
    trap_thread_start(&t, body);
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    TEST_CHECK(pipe(is_held) == 0);
    pid_t child = fork();
    TEST_CHECK(child >= 0);
    if (child == 0)
        _exit(debugger(atomic_load(&tid)));
    int status = 0;
    char byte;
    close(is_held[1]);
    TEST_CHECK(read(is_held[0], &byte, 1) >= 0); /* no collection before: its signal's frame would keep the register's value */
    while (waitpid(child, &status, WNOHANG) == 0) {
        trap_gc(TRAP_GC_FULL);
        trap_overwrite(TRAP_SIZE);
        trap_check_targets();
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == TEST_EXIT_SKIPPED)
        TEST_SKIP("ptrace is not permitted");
    TEST_CHECK(status == 0);
    trap_verify();
    trap_thread_end(&t);
    return 0;
}
