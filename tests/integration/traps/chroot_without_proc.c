/* Behind chroot there is no /proc: nothing can be proven, so nothing is reclaimed, and nothing hangs. */
#include <sys/stat.h>
#include <sys/wait.h>
#include "trap.h"

static void run(void)
{
    static void *volatile root;
    root = trap_reveal(trap_new());
    pthread_t id = trap_collector_start();
    for (int i = 0; i < 3; i++) {
        trap_round(TRAP_SIZE, true);
        usleep(1000);
    }
    trap_collector_end(id);
    TEST_CHECK(trap_is_peer() || trap_gc(TRAP_GC_FULL) == ECANCELED);
    TEST_CHECK(root != NULL);
}

int main(void)
{
    char folder[] = "/tmp/trap-XXXXXX";
    if (mkdtemp(folder) == NULL)
        TEST_SKIP("no place for a folder");
    pid_t child = fork();
    if (child == 0) {
        if (chroot(folder) != 0 || chdir("/") != 0)
            TEST_SKIP("chroot is not permitted");
        run();
        exit(0);
    }
    int status = 0;
    TEST_CHECK(waitpid(child, &status, 0) == child);
    rmdir(folder);
    if (WIFEXITED(status) && WEXITSTATUS(status) == TEST_EXIT_SKIPPED)
        TEST_SKIP("chroot is not permitted");
    TEST_CHECK(status == 0);
    return 0;
}
