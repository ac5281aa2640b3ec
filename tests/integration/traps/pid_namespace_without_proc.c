/* In a namespace of process ids whose /proc is still the one outside, the folder of our number is another process's: taken
 * for ours, threads that it does not list were not stopped, and what they had was given to others. So the process asks
 * for a number that, outside, belongs to a process of one thread (this one), and runs itself anew under it. */
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include "trap.h"

enum { N_THREADS = 3, N_BLOCKS = 1000, N_COLLECTIONS = 200, CANNOT = 77 };

static _Atomic bool is_over;

static void write_block(char *block, unsigned i)
{
    snprintf(block, TRAP_SIZE, "block %u of %#lx", i, (unsigned long)(uintptr_t)block);
}

/* Frees and allocates, so that its spans are in use all the time. */
static void *churn(void *arg)
{
    char **blocks = malloc(N_BLOCKS * sizeof(*blocks)), wanted[TRAP_SIZE];
    for (unsigned i = 0; i < N_BLOCKS; i++)
        write_block(blocks[i] = malloc(TRAP_SIZE), i);
    for (unsigned i = 0; !is_over; i = (i + 7) % N_BLOCKS) {
        snprintf(wanted, sizeof(wanted), "block %u of %#lx", i, (unsigned long)(uintptr_t)blocks[i]);
        TEST_CHECK(strcmp(blocks[i], wanted) == 0);
        free(blocks[i]);
        write_block(blocks[i] = malloc(TRAP_SIZE), i);
    }
    return arg;
}

static int inside(void)
{
    pthread_t threads[N_THREADS];
    trap_new();
    for (int i = 0; i < N_THREADS; i++)
        TEST_CHECK(pthread_create(&threads[i], NULL, churn, NULL) == 0);
    for (int i = 0; i < N_COLLECTIONS; i++) {
        trap_gc(TRAP_GC_FULL); /* declines */
        for (int j = 0; j < N_BLOCKS; j++)
            memset(malloc(TRAP_SIZE), 'x', TRAP_SIZE);
    }
    is_over = true;
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

/* The first process of the namespace: as itself it makes one with the wanted number, and waits for it. */
static void first(pid_t number, char *path)
{
    pid_t numbers[] = {number};
    struct clone_args args = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)numbers, .set_tid_size = 1};
    int status = 0;
    pid_t child = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (child == 0) {
        execl(path, path, "inside", NULL);
        _exit(CANNOT);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        _exit(CANNOT);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

int main(int argc, char **argv)
{
    char path[4096];
    int status = 0;
    if (argc == 2 && strcmp(argv[1], "inside") == 0)
        return inside();
    TEST_CHECK(realpath("/proc/self/exe", path) != NULL);
    pid_t outside = getpid();
    if (unshare(CLONE_NEWPID) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0)
        TEST_SKIP("namespaces are not permitted");
    pid_t child = fork();
    TEST_CHECK(child >= 0);
    if (child == 0)
        first(outside, path);
    TEST_CHECK(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT)
        TEST_SKIP("a process cannot have a number of our choice here");
    TEST_CHECK(status == 0);
    return 0;
}
