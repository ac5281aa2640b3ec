/* The strict sandbox kills for everything but read, write, exit and sigreturn: memory that the process has already
 * serves allocation, a gc_collect declines, and what is freed is not given back, beside a thread with memory of its own. */
#include <linux/seccomp.h>
#include <malloc.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "trap.h"

enum { LARGE_BYTES = 4 << 20, PATIENCE_MS = 60000 };
static int ends[2];
static _Atomic int has_begun;

/* The kernel ends just the thread that the sandbox is for. */
static void *watch(void *arg)
{
    struct pollfd end = {.fd = ends[0], .events = POLLIN};
    free(malloc(100));
    atomic_store(&has_begun, 1);
    _exit(poll(&end, 1, PATIENCE_MS) == 1 ? 0 : 3);
    return arg;
}

/* large: what is freed in the sandbox; NULL where that is not asked of the allocator. */
static void run(char *large)
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
    if (large != NULL) {
        free(large);
        malloc_trim(0);
    }
    syscall(SYS_write, ends[1], "", 1);
    syscall(SYS_exit, 0);
}

int main(void)
{
    pid_t child = fork();
    if (child == 0) {
        pthread_t id;
        char *large = malloc(LARGE_BYTES);
        TEST_CHECK(large != NULL && pipe(ends) == 0 && pthread_create(&id, NULL, watch, NULL) == 0);
        memset(large, 1, LARGE_BYTES);
        trap_wait(&has_begun);
        for (unsigned i = 0; i < 64; i++)
            free(malloc(100 + i));
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
            _exit(TEST_EXIT_SKIPPED);
        run(trap_is_peer() ? NULL : large);
    }
    int status = 0;
    TEST_CHECK(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == TEST_EXIT_SKIPPED)
        TEST_SKIP("seccomp is not permitted");
    if (status != 0)
        TEST_FAIL("status 0x%x", (unsigned)status);
    return 0;
}
