/* A child of vfork shares our memory and may allocate; its parent thread stands in the kernel meanwhile,
 * other threads collect. Also posix_spawn, system and popen, which do the like inside. */
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include "test_counter.h"
#include "trap.h"
extern char **environ;

static __attribute__((noinline)) void vfork_once(int n)
{
    void *volatile block = trap_reveal(trap_targets[0].hidden);
    pid_t pid = vfork();
    TEST_CHECK(pid >= 0);
    if (pid == 0) {
        void *mine = malloc(300);
        memset(mine, 1, 300);
        free(mine);
        if (n % 4 == 0)
            usleep(50000);
        _exit(9);
    }
    int status = 0;
    TEST_CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 9);
    TEST_CHECK(~(uintptr_t)block == trap_targets[0].hidden);
}

/* What the child says of its alternate stack is its own affair, though it says it in our memory. */
static void check_alternate_stack(void)
{
    enum { BYTES = 8192 }; /* small, so the thread gets a larger one in its place */
    static char ours[BYTES], childs[BYTES];
    stack_t wanted = {.ss_sp = ours, .ss_size = BYTES}, now;
    TEST_CHECK(sigaltstack(&wanted, NULL) == 0);
    pid_t pid = vfork();
    TEST_CHECK(pid >= 0);
    if (pid == 0) {
        stack_t other = {.ss_sp = childs, .ss_size = BYTES};
        _exit(sigaltstack(&other, NULL) == 0 && sigaltstack(NULL, &other) == 0 ? 0 : 1);
    }
    int status = 0;
    TEST_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    TEST_CHECK(sigaltstack(NULL, &now) == 0 && now.ss_sp == ours && now.ss_size == BYTES);
    wanted.ss_flags = SS_DISABLE;
    TEST_CHECK(sigaltstack(&wanted, &now) == 0 && now.ss_sp == ours);
}

static void spawn_once(void)
{
    char *argv[] = {(char *)"true", NULL};
    pid_t pid;
    int status = 0;
    TEST_CHECK(posix_spawnp(&pid, "true", NULL, NULL, argv, environ) == 0);
    TEST_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void popen_once(void)
{
    char line[100] = "";
    FILE *f = popen("echo through a pipe", "r");
    TEST_CHECK(f != NULL && fgets(line, sizeof(line), f) != NULL && strcmp(line, "through a pipe\n") == 0);
    TEST_CHECK(pclose(f) == 0);
}

/* While a child of vfork uses our memory, a thread beside its parent does not try to stop anybody: its skips are counted as
 * what they are, not as a thread that would not stop. */
static void check_beside_vfork(void)
{
    uint64_t skipped = test_counter("skip_vfork_child");
    pid_t pid = vfork();
    TEST_CHECK(pid >= 0);
    if (pid == 0) {
        for (int i = 0; i < 10000 && test_counter("skip_vfork_child") < skipped + 3; i++)
            usleep(1000);
        _exit(0);
    }
    TEST_CHECK(waitpid(pid, NULL, 0) == pid);
    if (test_counter("skip_vfork_child") < skipped + 3)
        TEST_FAIL("collections wait for the parent");
}

/* One that shares our memory by a call that nobody told us of collects nothing either. */
static int shares_memory(void *arg)
{
    (void)arg;
    for (int i = 0; i < 3; i++)
        if (gc_collect_level(TRAP_GC_FULL) != ECANCELED)
            return 1;
    return 0;
}

static void check_in_clone(void)
{
    enum { BYTES = 256 * 1024 };
    char *stack = malloc(BYTES);
    int status = 0;
    pid_t pid = clone(shares_memory, stack + BYTES - 64, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
    TEST_CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    if (status != 0)
        TEST_FAIL("a process that shares the memory collected: 0x%x", (unsigned)status);
    free(stack);
}

int main(void)
{
    static void *volatile root;
    root = trap_reveal(trap_new());
    check_alternate_stack();
    pthread_t collector = trap_collector_start();
    for (int n = 0; n < 24; n++) {
        vfork_once(n);
        spawn_once();
        if (n % 4 == 0) {
            popen_once();
            TEST_CHECK(system("exit 0") == 0);
        }
        memset(malloc(TRAP_SIZE), 0xee, TRAP_SIZE);
    }
    if (gc_get_counter != NULL && !trap_is_emulated())
        check_beside_vfork();
    trap_collector_end(collector);
    if (gc_get_counter != NULL && !trap_is_emulated())
        check_in_clone();
    trap_verify();
    TEST_CHECK(root != NULL);
    return 0;
}
