/* Behind a filter that allows every call nothing is collected, since nobody can know that it does; with seccomp_ok, which
 * says so, everything is. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "trap.h"

static void sandbox(void)
{
    struct sock_filter rules[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {.len = 1, .filter = rules};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(TEST_EXIT_SKIPPED);
}

/* Inherited: the filter is there before the library, and one that comes later changes nothing either. */
static void run_allowed(void)
{
    static void *volatile root;
    struct trap_thread t = {.hidden = trap_new()};
    root = trap_reveal(trap_new());
    trap_thread_start(&t, trap_thread_holding);
    trap_verify();
    sandbox();
    trap_verify();
    trap_thread_end(&t);
    TEST_CHECK(root != NULL);
}

static int run_again(const char *self, const char *settings, const char *what)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        setenv("GCMALLOC", settings, 1);
        sandbox();
        execl(self, self, what, NULL);
        _exit(99);
    }
    TEST_CHECK(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == TEST_EXIT_SKIPPED)
        TEST_SKIP("seccomp is not permitted");
    return status;
}

int main(int argc, char **argv)
{
    if (argc == 1) {
        TEST_CHECK(run_again(argv[0], "seccomp_ok=no", "declines") == 0);
        TEST_CHECK(run_again(argv[0], "seccomp_ok=yes", "collects") == 0);
    } else if (strcmp(argv[1], "collects") == 0) {
        run_allowed();
    } else {
        TEST_CHECK(gc_collect_level(TRAP_GC_FULL) == ECANCELED);
    }
    return 0;
}
