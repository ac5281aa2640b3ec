/* Behind a filter that kills for opening a file the heap may still grow, beyond where a collection would be due. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "trap.h"

enum { BYTES = 100 * 1000, N = 3000 };

static bool filter(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void *blocks[N];

int main(void)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        TEST_CHECK(trap_collect() || trap_is_emulated()); /* its cost is a share of time that must pass before the next */
        if (!filter())
            _exit(TEST_EXIT_SKIPPED);
        for (int i = 0; i < N; i++)
            if ((blocks[i] = malloc(BYTES)) == NULL)
                _exit(2);
        _exit(0);
    }
    TEST_CHECK(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == TEST_EXIT_SKIPPED)
        TEST_SKIP("seccomp is not permitted");
    if (status != 0)
        TEST_FAIL("status 0x%x", (unsigned)status);
    return 0;
}
