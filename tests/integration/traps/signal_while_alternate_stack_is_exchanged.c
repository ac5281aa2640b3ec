/* The library puts a larger stack in the place of a small alternate one, and the kernel has the small one for a moment. A signal
 * that comes just then, which a tracer sees to, must not begin on it: the next would find no room there. */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include "trap.h"

#ifndef PTRACE_GET_SYSCALL_INFO
#define PTRACE_GET_SYSCALL_INFO 0x420e
#endif
enum { SMALL_BYTES = 8192, N_CALLS = 5, ENTRY = 1, EXIT = 2, SYSCALL_STOP = SIGTRAP | 0x80, STATUS_SMALL = 3 };

/* As the kernel fills it; headers disagree about its name. */
struct call_info {
    uint8_t op;
    uint32_t arch;
    uint64_t ip, sp, nr, more[16];
};

static _Alignas(64) char small[SMALL_BYTES];
static volatile int n_signals, n_on_small;

static void handler(int signo)
{
    char *here = __builtin_frame_address(0);
    (void)signo;
    n_signals++;
    n_on_small += here >= small && here < small + sizeof(small);
}

static int traced(void)
{
    const struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    stack_t s = {.ss_sp = small, .ss_size = sizeof(small)}, none = {.ss_flags = SS_DISABLE};
    TEST_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    TEST_CHECK(sigaltstack(&s, NULL) == 0 && sigaltstack(&none, NULL) == 0); /* nothing is looked up any more */
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        return TEST_EXIT_SKIPPED;
    raise(SIGSTOP);
    for (int i = 0; i < N_CALLS; i++)
        TEST_CHECK(sigaltstack(&s, NULL) == 0);
    TEST_CHECK(n_signals >= N_CALLS);
    return n_on_small != 0 && !trap_is_peer() ? STATUS_SMALL : 0;
}

/* The signal comes when the call has changed the stack and before the thread's next instruction. */
static int take_call(pid_t pid, uint64_t *nr)
{
    struct call_info info = {.op = 0};
    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(info), &info) < 0)
        return -1;
    if (info.op == ENTRY)
        *nr = info.nr;
    else if (info.op == EXIT && *nr == SYS_sigaltstack)
        TEST_CHECK(kill(pid, SIGUSR1) == 0);
    return 0;
}

static int trace(pid_t pid)
{
    int status, signo = 0;
    uint64_t nr = 0;
    TEST_CHECK(waitpid(pid, &status, 0) == pid);
    if (!WIFSTOPPED(status))
        return WEXITSTATUS(status);
    TEST_CHECK(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)) == 0);
    for (;;) {
        TEST_CHECK(ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(intptr_t)signo) == 0);
        TEST_CHECK(waitpid(pid, &status, 0) == pid);
        if (!WIFSTOPPED(status))
            return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
        signo = WSTOPSIG(status) == SYSCALL_STOP ? 0 : WSTOPSIG(status);
        if (signo == 0 && take_call(pid, &nr) != 0)
            return TEST_EXIT_SKIPPED;
    }
}

int main(void)
{
    pid_t pid = fork();
    TEST_CHECK(pid >= 0);
    if (pid == 0)
        _exit(traced());
    int status = trace(pid);
    if (status == TEST_EXIT_SKIPPED)
        TEST_SKIP("calls cannot be traced");
    if (status == STATUS_SMALL)
        TEST_FAIL("a handler ran on the small stack");
    TEST_CHECK(status == 0);
    return 0;
}
