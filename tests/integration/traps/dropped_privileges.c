/* A daemon that gave up root: pagemap and parts of task are denied then. Its mappings are small enough to be read without
 * knowing which pages have content, so it collects, and nothing is lost; not for a file's mapping without permissions either,
 * as lies in the gaps of libraries. */
#include <grp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "trap.h"

static void run(void)
{
    static void *volatile root;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        TEST_CHECK(mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE, fd, 0) != MAP_FAILED);
    root = trap_reveal(trap_new());
    struct trap_thread t = {.hidden = trap_new()};
    trap_thread_start(&t, trap_thread_holding);
    trap_clear_stack();
    for (int i = 0; i < 3; i++)
        trap_verify();
    trap_thread_end(&t);
    TEST_CHECK(root != NULL);
}

int main(void)
{
    pid_t child = fork();
    if (child == 0) {
        if (prctl(PR_SET_DUMPABLE, 0) != 0)
            TEST_FAIL("prctl");
        if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0))
            TEST_SKIP("cannot become another user");
        run();
        exit(0);
    }
    int status = 0;
    TEST_CHECK(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == TEST_EXIT_SKIPPED)
        TEST_SKIP("cannot become another user");
    TEST_CHECK(status == 0);
    return 0;
}
