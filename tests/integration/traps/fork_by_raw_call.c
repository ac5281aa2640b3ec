/* Forks that bypass libc's handlers: by _Fork and by the system call, while other threads allocate and collect. The
 * child allocates, frees and collects, or becomes another program at once. */
#include <dlfcn.h>
#include <signal.h>
#include <sys/wait.h>
#include "trap.h"
static _Atomic int stop;
static void *volatile root;

static void *body(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        void *blocks[32];
        for (int i = 0; i < 32; i++)
            blocks[i] = malloc(100 + 50 * (size_t)i);
        for (int i = 0; i < 32; i += 2)
            free(blocks[i]);
    }
    return NULL;
}

static void child(uintptr_t hidden, int n)
{
    if (n % 5 == 0)
        execl("/proc/self/exe", "again", "end", NULL);
    void *volatile block = trap_reveal(hidden);
    root = NULL;
    for (int i = 0; i < 2000; i++) {
        void *p = malloc(64 + (size_t)i % 500);
        if (p == NULL)
            _exit(3);
        if (i % 3 == 0)
            free(p);
    }
    trap_gc(TRAP_GC_FULL);
    for (int i = 0; i < 3000; i++)
        memset(malloc(TRAP_SIZE), 0xee, TRAP_SIZE);
    _exit(test_is_filled(block, TRAP_SIZE, 1) ? 7 : 4);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc == 2)
        return 7;
    pid_t (*bare_fork)(void) = (pid_t(*)(void))dlsym(RTLD_DEFAULT, "_Fork");
    uintptr_t hidden = trap_new();
    root = trap_reveal(hidden);
    pthread_t ids[2];
    for (int i = 0; i < 2; i++)
        TEST_CHECK(pthread_create(&ids[i], NULL, body, NULL) == 0);
    pthread_t collector = trap_collector_start();
    for (int n = 0; n < 60; n++) {
        pid_t pid = n % 2 == 0 && bare_fork != NULL
                        ? bare_fork()
                        : (pid_t)syscall(SYS_clone, (long)SIGCHLD, NULL, NULL, NULL, 0L);
        TEST_CHECK(pid >= 0);
        if (pid == 0)
            child(hidden, n);
        int status = 0;
        TEST_CHECK(waitpid(pid, &status, 0) == pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 7)
            TEST_FAIL("child %d: status 0x%x", n, (unsigned)status);
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < 2; i++)
        pthread_join(ids[i], NULL);
    trap_collector_end(collector);
    TEST_CHECK(root != NULL);
    return 0;
}
