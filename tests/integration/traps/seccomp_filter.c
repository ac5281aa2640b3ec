/* A sandbox that allows a handful of calls and kills for any other: allocation goes on inside it, also a
 * gc_collect. It is entered by prctl and by the system call for it. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "trap.h"

#define ALLOW(nr)                                                                                            \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void sandbox(bool by_prctl)
{
    static struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(SYS_mmap),
        ALLOW(SYS_munmap),
        ALLOW(SYS_futex),
        ALLOW(SYS_write),
        ALLOW(SYS_exit),
        ALLOW(SYS_exit_group),
        ALLOW(SYS_brk),
        ALLOW(SYS_rt_sigreturn),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {.len = sizeof(rules) / sizeof(rules[0]), .filter = rules};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        (by_prctl ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)
                  : (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) != 0)
        TEST_SKIP("seccomp is not permitted");
}

static void run(void)
{
    static void *live[500];
    for (unsigned i = 0; i < 200000; i++) {
        unsigned slot = i % 500;
        if (live[slot] != NULL)
            TEST_CHECK(test_is_filled(live[slot], 600, i - 500));
        if (i % 3 == 0)
            free(live[slot]);
        live[slot] = malloc(600);
        TEST_CHECK(live[slot] != NULL);
        test_fill(live[slot], 600, i);
        if (i % 50000 == 7)
            trap_gc(TRAP_GC_FULL);
    }
    free(malloc(5 << 20));
    free(calloc(100, 100000));
}

static void test(bool by_prctl)
{
    pid_t child = fork();
    if (child == 0) {
        free(malloc(100));
        sandbox(by_prctl);
        run();
        _exit(0);
    }
    int status = 0;
    TEST_CHECK(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == TEST_EXIT_SKIPPED)
        TEST_SKIP("seccomp is not permitted");
    if (status != 0)
        TEST_FAIL("status 0x%x", (unsigned)status);
}

int main(void)
{
    test(true);
    test(false);
    return 0;
}
