/* SA_RESETHAND, also by sysv_signal: a handler is called once, and while it runs the default is back. A second signal ends the
 * process. */
#include <signal.h>
#include <sys/wait.h>
#include "trap.h"
static volatile int n_calls, n_resets;

static bool is_reset(void)
{
    struct sigaction now;
    TEST_CHECK(sigaction(SIGUSR1, NULL, &now) == 0);
    return now.sa_handler == SIG_DFL;
}

static void handler(int signo)
{
    n_calls += signo == SIGUSR1;
    n_resets += is_reset();
}

static void set(bool is_by_sysv_signal)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = (int)SA_RESETHAND};
    if (is_by_sysv_signal)
        TEST_CHECK(sysv_signal(SIGUSR1, handler) != SIG_ERR);
    else
        TEST_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    TEST_CHECK(!is_reset());
}

static void raise_twice_in_child(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        raise(SIGUSR1);
        raise(SIGUSR1);
        _exit(0);
    }
    TEST_CHECK(waitpid(child, &status, 0) == child);
    TEST_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
}

int main(void)
{
    for (int way = 0; way < 2; way++) {
        n_calls = n_resets = 0;
        set(way == 1);
        raise_twice_in_child();
        raise(SIGUSR1);
        TEST_CHECK(n_calls == 1 && n_resets == 1 && is_reset());
        trap_verify_kept();
    }
    return 0;
}
