/* The value of a message queue's notification is in the kernel alone until a message comes: for a signal, and for a thread. */
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include "trap.h"
static void *volatile received;
static _Atomic int n_received;
enum { N_DROPPED = 200 };
static uintptr_t dropped[N_DROPPED];
/* Of values of so many queues, the library remembers those that were set last. */
enum { N_REMEMBERED = 64, N_QUEUES = N_REMEMBERED + 20 };
static uintptr_t values[N_QUEUES];

static void handler(int signo, siginfo_t *info, void *context)
{
    (void)signo, (void)context;
    received = info->si_value.sival_ptr;
    atomic_fetch_add(&n_received, 1);
}

static void body(union sigval value)
{
    received = value.sival_ptr;
    atomic_fetch_add(&n_received, 1);
}

static mqd_t queue_open(int no)
{
    char name[64];
    struct mq_attr attr = {.mq_maxmsg = 1, .mq_msgsize = 8};
    snprintf(name, sizeof(name), "/gcm-trap-%d-%d", (int)getpid(), no);
    mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attr);
    if (queue == (mqd_t)-1)
        TEST_SKIP("no message queues: %s", strerror(errno));
    mq_unlink(name);
    return queue;
}

static __attribute__((noinline)) void ask(mqd_t queue, uintptr_t hidden, bool by_thread)
{
    struct sigevent event;
    memset(&event, 0, sizeof(event));
    event.sigev_notify = by_thread ? SIGEV_THREAD : SIGEV_SIGNAL;
    if (by_thread)
        event.sigev_notify_function = body;
    else
        event.sigev_signo = SIGUSR1;
    event.sigev_value.sival_ptr = trap_reveal(hidden);
    TEST_CHECK(mq_notify(queue, &event) == 0);
}

static void tell(mqd_t queue, uintptr_t hidden)
{
    int before = atomic_load(&n_received);
    TEST_CHECK(mq_send(queue, "x", 1, 0) == 0);
    for (int i = 0; i < 6000 && atomic_load(&n_received) == before; i++)
        usleep(5000);
    TEST_CHECK(atomic_load(&n_received) == before + 1 && ~(uintptr_t)received == hidden);
}

/* Nothing is held for who no longer waits. */
static __attribute__((noinline)) void ask_and_withdraw(mqd_t queue, int i)
{
    dropped[i] = ~(uintptr_t)malloc(TRAP_SIZE);
    ask(queue, dropped[i], false);
    TEST_CHECK(mq_notify(queue, NULL) == 0);
}

static __attribute__((noinline)) void ask_of_new_queue(int i)
{
    values[i] = ~(uintptr_t)malloc(TRAP_SIZE);
    ask(queue_open(2 + i), values[i], false);
}

static void check_many_queues(void)
{
    for (int i = 0; i < N_QUEUES; i++)
        ask_of_new_queue(i);
    trap_clear_stack();
    trap_verify();
    for (int i = N_QUEUES - N_REMEMBERED; i < N_QUEUES; i++)
        if (trap_find(trap_reveal(values[i])) == NULL)
            TEST_FAIL("the value of queue %d of %d was lost", i, N_QUEUES);
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    TEST_CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    mqd_t by_signal = queue_open(0), by_thread = queue_open(1);
    uintptr_t first = trap_new(), second = trap_new();
    ask(by_signal, first, false);
    ask(by_thread, second, true);
    trap_clear_stack();
    trap_verify();
    tell(by_signal, first);
    tell(by_thread, second);
    received = NULL;
    char message[8];
    TEST_CHECK(mq_receive(by_signal, message, sizeof(message), NULL) == 1);
    for (int i = 0; i < N_DROPPED; i++)
        ask_and_withdraw(by_signal, i);
    trap_clear_stack();
    trap_verify();
    int n = 0;
    for (int i = 0; i < N_DROPPED; i++)
        n += trap_find(trap_reveal(dropped[i])) == NULL;
    if (n < N_DROPPED * 9 / 10 && !trap_is_peer() && !trap_is_emulated())
        TEST_FAIL("only %d of %d values came back", n, N_DROPPED);
    check_many_queues();
    return 0;
}
