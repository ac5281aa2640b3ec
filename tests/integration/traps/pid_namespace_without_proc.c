/* In a namespace of process ids whose /proc is still the one outside, the folder of our number is another process's: taken
 * for ours, threads that it does not list were not stopped, and what they had was given to others. So the process asks
 * for a number that, outside, belongs to a process of one thread (this one), and runs itself anew under it. */
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include "trap_asm.h"

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

static struct trap_thread unknown;
static _Atomic int is_alive = 1;

/* Shares thread-local storage with main: nothing of libc here. */
static int hold(void *arg)
{
    (void)arg;
    trap_hold_until_released(&unknown);
    return 0;
}

/* Beside a thread that libc does not know the process looks like one of a single thread. */
static void check_unknown_thread(void)
{
    static char stack[65536];
    unknown.hidden = trap_new();
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_CHILD_CLEARTID;
    TEST_CHECK(clone(hold, stack + sizeof(stack), flags, NULL, NULL, NULL, &is_alive) > 0);
    trap_wait(&unknown.ready);
    trap_gc(TRAP_GC_FULL); /* declines */
    trap_check_targets();
    atomic_store(&unknown.release, 1);
    while (atomic_load(&is_alive) != 0)
        usleep(1000);
    trap_forget(unknown.hidden);
}

/* One that collected under a /proc of its own, and leaves that. */
static int left(void)
{
    TEST_CHECK(trap_collect());
    if (umount2("/proc", MNT_DETACH) != 0)
        return CANNOT;
    check_unknown_thread();
    return 0;
}

static int inside(void)
{
    pthread_t threads[N_THREADS];
    check_unknown_thread();
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
static void first(pid_t number, char *path, char *step)
{
    pid_t numbers[] = {number};
    struct clone_args args = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)numbers, .set_tid_size = 1};
    int status = 0;
    if (strcmp(step, "left") == 0 && (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("proc", "/proc", "proc", 0, NULL) != 0))
        _exit(CANNOT);
    pid_t child = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (child == 0) {
        execl(path, path, step, NULL);
        _exit(CANNOT);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        _exit(CANNOT);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/* The process outside, of one thread, whose number the one inside gets. */
static int outside(char *path, char *step)
{
    int status = 0;
    pid_t number = getpid();
    if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS) != 0)
        return CANNOT;
    pid_t child = fork();
    TEST_CHECK(child >= 0);
    if (child == 0)
        first(number, path, step);
    TEST_CHECK(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void run(char *path, char *step)
{
    int status = 0;
    pid_t child = fork();
    TEST_CHECK(child >= 0);
    if (child == 0)
        _exit(outside(path, step));
    TEST_CHECK(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT)
        TEST_SKIP("no namespace, no number of our choice, or no /proc, can be had here");
    if (status != 0)
        TEST_FAIL("%s: status 0x%x", step, (unsigned)status);
}

int main(int argc, char **argv)
{
    char path[4096];
    if (argc == 2)
        return strcmp(argv[1], "inside") == 0 ? inside() : left();
    TEST_CHECK(realpath("/proc/self/exe", path) != NULL);
    run(path, (char *)"inside");
    run(path, (char *)"left");
    return 0;
}
