/* The strict sandbox kills for everything but read, write, exit and sigreturn: memory that the process has already
 * serves allocation, and a gc_collect declines. */
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "trap.h"

static void run(void)
{
    void *held[64] = {NULL};
    for (unsigned i = 0; i < 100000; i++) {
        unsigned slot = i % 64;
        free(held[slot]);
        held[slot] = malloc(100 + slot);
        if (held[slot] == NULL)
            syscall(SYS_exit, 2);
        memset(held[slot], (int)slot, 100 + slot);
        if (i % 20000 == 7)
            trap_gc(TRAP_GC_FULL);
    }
    syscall(SYS_exit, 0);
}

int main(void)
{
    pid_t child = fork();
    if (child == 0) {
        for (unsigned i = 0; i < 64; i++)
            free(malloc(100 + i));
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
            _exit(TEST_EXIT_SKIPPED);
        run();
    }
    int status = 0;
    TEST_CHECK(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == TEST_EXIT_SKIPPED)
        TEST_SKIP("seccomp is not permitted");
    if (status != 0)
        TEST_FAIL("status 0x%x", (unsigned)status);
    return 0;
}
