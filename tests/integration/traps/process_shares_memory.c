/* A process that is no thread of this one and has its memory (clone with CLONE_VM alone) runs on while others stop: a block that it
 * holds in a register is not taken while it lives, also after main has ended; once it is gone, or has a memory of its own, collections
 * go on, however many there were before the first of them. */
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "trap_asm.h"
enum { STACK_BYTES = 64 * 1024, N_SHORT_LIVED = 40 };
static struct trap_thread t;
static uintptr_t after;
static char **arguments;

/* Shares thread-local storage with main: nothing of libc here. */
static int hold(void *arg)
{
    (void)arg;
    after = trap_hold_until_released(&t);
    return 0;
}

/* The raw call: what libc does before it needs a thread of its own. */
static int hold_and_exec(void *arg)
{
    hold(arg);
    syscall(SYS_execve, "/proc/self/exe", arguments, environ);
    return 1;
}

static int end_at_once(void *arg)
{
    (void)arg;
    return 0;
}

static pid_t start(int (*body)(void *))
{
    char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(stack != MAP_FAILED);
    atomic_store(&t.ready, 0);
    atomic_store(&t.release, 0);
    t.hidden = trap_new();
    pid_t child = clone(body, stack + STACK_BYTES, CLONE_VM | CLONE_FS | CLONE_FILES | SIGCHLD, NULL);
    TEST_CHECK(child > 0);
    trap_wait(&t.ready);
    trap_verify_kept();
    atomic_store(&t.release, 1);
    return child;
}

static void check_end(pid_t child)
{
    int status = 0;
    TEST_CHECK(waitpid(child, &status, 0) == child && status == 0);
    TEST_CHECK(after == t.hidden);
    trap_forget(t.hidden);
    trap_verify();
}

static void start_short_lived(void)
{
    static char stack[STACK_BYTES] __attribute__((aligned(16)));
    for (int i = 0; i < N_SHORT_LIVED; i++) {
        pid_t child = clone(end_at_once, stack + STACK_BYTES, CLONE_VM | CLONE_FS | CLONE_FILES | SIGCHLD, NULL);
        TEST_CHECK(child > 0 && waitpid(child, NULL, 0) == child);
    }
}

/* The leader is a zombie then, and has no memory that could be compared. */
static void *share_without_main(void *main_thread)
{
    pthread_join(*(pthread_t *)main_thread, NULL);
    usleep(20000);
    check_end(start(hold));
    _exit(0);
}

int main(int argc, char **argv)
{
    char *const again[] = {argv[0], (char *)"sleeps", NULL};
    if (argc == 2) { /* until its parent has seen that it may collect */
        char byte;
        return read(0, &byte, 1) < 0;
    }
    const struct rlimit limit = {20, 20}; /* of CPU time: what spins ends, whatever becomes of us */
    TEST_CHECK(setrlimit(RLIMIT_CPU, &limit) == 0);
    arguments = (char **)again;
    start_short_lived();
    check_end(start(hold));
    int ends[2];
    TEST_CHECK(pipe(ends) == 0 && dup2(ends[0], 0) == 0);
    pid_t child = start(hold_and_exec);
    trap_forget(t.hidden);
    trap_verify();
    TEST_CHECK(write(ends[1], "x", 1) == 1);
    check_end(child);
    static pthread_t main_thread, other;
    main_thread = pthread_self();
    TEST_CHECK(pthread_create(&other, NULL, share_without_main, &main_thread) == 0);
    pthread_exit(NULL);
}
