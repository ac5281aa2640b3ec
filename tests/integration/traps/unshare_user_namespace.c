/* unshare(CLONE_NEWUSER) and setns are refused to a process of several threads: the collector's own, which mark beside
 * it, must be gone before. Starts itself with helpers asked for. */
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include "trap.h"

static bool is_permitted(void)
{
    pid_t pid = (pid_t)syscall(SYS_clone, (long)SIGCHLD, NULL, NULL, NULL, 0L);
    int status = 0;
    if (pid == 0)
        _exit(syscall(SYS_unshare, CLONE_NEWUSER) == 0 ? 0 : 1);
    TEST_CHECK(waitpid(pid, &status, 0) == pid);
    return status == 0;
}

/* A list of many blocks, so that helpers pay, and whatever lets helpers start. */
static void use_helpers(void)
{
    static void **volatile list;
    for (int i = 0; i < 1500000; i++) {
        void **node = malloc(64);
        node[0] = list;
        list = node;
    }
    for (int i = 0; i < 4; i++) {
        TEST_CHECK(trap_collect());
        usleep(1000);
    }
}

int main(int argc, char **argv)
{
    (void)argv;
    if (!is_permitted())
        TEST_SKIP("user namespaces are not permitted");
    if (argc == 1) {
        setenv("GCMALLOC", "markers=2", 1);
        execl("/proc/self/exe", "again", "helpers", NULL);
        TEST_FAIL("exec");
    }
    use_helpers();
    if (unshare(CLONE_NEWUSER) != 0)
        TEST_FAIL("unshare: %s", strerror(errno));
    trap_verify_kept();
    use_helpers();
    return 0;
}
