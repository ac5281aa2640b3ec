/* A handler runs on the alternate stack that its thread has of the library while another thread forks: in the child that thread is
 * gone, and what it held there is read like the stacks of all that are gone. */
#include <signal.h>
#include <sys/wait.h>
#include "trap.h"

static struct trap_thread thread;

static void handler(int signo)
{
    (void)signo;
    trap_thread_holding(&thread);
}

static void *body(void *arg)
{
    TEST_CHECK(raise(SIGUSR1) == 0);
    return arg;
}

int main(void)
{
    const struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    int status = 0;
    TEST_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    thread.hidden = trap_new();
    trap_thread_start(&thread, body);
    trap_clear_stack();
    pid_t pid = fork();
    TEST_CHECK(pid >= 0);
    if (pid == 0) {
        trap_verify();
        _exit(0);
    }
    TEST_CHECK(waitpid(pid, &status, 0) == pid);
    if (status != 0)
        TEST_FAIL("child: status 0x%x", (unsigned)status);
    trap_thread_end(&thread);
    return 0;
}
