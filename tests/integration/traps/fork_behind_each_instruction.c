/* A thread is in the middle of one of our functions, behind each of their instructions once, while another forks: in the child
 * the thread is gone, with whatever it held, and the same functions work. x86-64, where a thread can be stepped by a flag. */
#include <linux/futex.h>
#include <signal.h>
#include <sys/wait.h>
#include "step.h"
#include "trap.h"
#ifdef __x86_64__
int gc_set_finalizer(void *obj, void (*fn)(void *obj, void *arg), void *arg) __attribute__((weak));

enum { PATIENCE_S = 60, FORKS_PER_COLLECTION = 50 };

static void on_signal(int signo)
{
    (void)signo;
}

static void finalize(void *obj, void *arg)
{
    (void)obj, (void)arg;
}

/* What is done in the middle of itself. */
static __attribute__((noinline)) void do_each(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    TEST_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    void *block = malloc(TRAP_SIZE);
    TEST_CHECK(block != NULL && (gc_set_finalizer == NULL || gc_set_finalizer(block, finalize, NULL) == 0));
    free(block);
}

static _Atomic int is_forks_turn, is_stepped_out;

/* None of the library's, in whose middle the thread is. */
static void futex(int op, int value)
{
    long result = SYS_futex;
    register long timeout __asm__("r10") = 0;
    __asm__ volatile("syscall"
                     : "+a"(result)
                     : "D"(&is_forks_turn), "S"((long)op), "d"((long)value), "r"(timeout)
                     : "rcx", "r11", "memory");
}

static void pass_turn(int turn)
{
    atomic_store(&is_forks_turn, turn);
    futex(FUTEX_WAKE, 1);
}

static void wait_for_turn(int turn)
{
    while (atomic_load(&is_forks_turn) != turn)
        futex(FUTEX_WAIT, !turn);
}

static void on_step(int signo, siginfo_t *info, void *context)
{
    (void)signo, (void)info;
    if (!step_is_new_place(context))
        return;
    pass_turn(1);
    wait_for_turn(0);
}

static void *step(void *arg)
{
    step_each_instruction(1);
    do_each();
    step_each_instruction(0);
    atomic_store(&is_stepped_out, 1);
    pass_turn(1);
    return arg;
}

static void fork_once(int no)
{
    int status = 0;
    pid_t pid = fork();
    TEST_CHECK(pid >= 0);
    if (pid == 0) {
        alarm(PATIENCE_S); /* instead of waiting for ever for what nobody will give back */
        do_each();
        if (no % FORKS_PER_COLLECTION == 0)
            TEST_CHECK(trap_collect());
        _exit(0);
    }
    TEST_CHECK(waitpid(pid, &status, 0) == pid);
    if (status != 0)
        TEST_FAIL("child %d: status 0x%x", no, (unsigned)status);
}

int main(void)
{
    const struct sigaction action = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO | SA_RESTART};
    pthread_t id;
    TEST_CHECK(sigaction(SIGTRAP, &action, NULL) == 0);
    if (trap_is_emulated() || trap_is_peer())
        TEST_SKIP("steps are asked of the library, on real hardware");
    do_each();
    TEST_CHECK(pthread_create(&id, NULL, step, NULL) == 0);
    wait_for_turn(1);
    for (int no = 0; !atomic_load(&is_stepped_out); no++) {
        fork_once(no);
        pass_turn(0);
        wait_for_turn(1);
    }
    TEST_CHECK(pthread_join(id, NULL) == 0);
    return 0;
}
#else
int main(void)
{
    TEST_SKIP("x86-64 only");
}
#endif
