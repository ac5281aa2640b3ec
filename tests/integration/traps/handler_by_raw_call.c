/* A handler that the program installed by the system call itself runs on a thread that waits in a wrapped call: what it
 * holds is seen, and it does not run on while the world stands still. */
#include <poll.h>
#include <signal.h>
#include "raw_action.h"

enum { N_ROUNDS = 200 };
static struct trap_thread thread;
static _Atomic int in_handler, leave_handler;

/* Its block moves from one hiding place to the next all the time: only a thread that stands still can be read. */
static void handler(int signo)
{
    (void)signo;
    void *volatile slots[64] = {NULL};
    slots[0] = trap_reveal(thread.hidden);
    atomic_store(&in_handler, 1);
    for (unsigned at = 0; !atomic_load(&leave_handler); at = (at + 17) % 64) {
        slots[(at + 17) % 64] = slots[at];
        slots[at] = NULL;
    }
    void *found = NULL;
    for (int i = 0; i < 64; i++)
        if (slots[i] != NULL)
            found = slots[i];
    TEST_CHECK(~(uintptr_t)found == thread.hidden);
    atomic_store(&in_handler, 0);
}

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    atomic_store(&t->ready, 1);
    while (!atomic_load(&t->release))
        poll(NULL, 0, 10000);
    return NULL;
}

static void install(void)
{
    struct raw_action raw = raw_action_of(handler);
    TEST_CHECK(syscall(SYS_rt_sigaction, SIGUSR1, &raw, NULL, sizeof(raw.mask)) == 0);
}

int main(void)
{
    install();
    thread.hidden = trap_new();
    trap_thread_start(&thread, body);
    usleep(20000);
    for (int round = 0; round < N_ROUNDS; round++) {
        atomic_store(&leave_handler, 0);
        TEST_CHECK(pthread_kill(thread.id, SIGUSR1) == 0);
        trap_wait(&in_handler);
        if (round % 20 == 0)
            trap_verify();
        else
            TEST_CHECK(trap_collect());
        trap_check_targets();
        atomic_store(&leave_handler, 1);
        while (atomic_load(&in_handler))
            syscall(SYS_sched_yield);
    }
    atomic_store(&thread.release, 1);
    pthread_kill(thread.id, SIGUSR1);
    pthread_join(thread.id, NULL);
    return 0;
}
