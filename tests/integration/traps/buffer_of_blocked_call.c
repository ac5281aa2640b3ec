/* A thread waits in a call whose buffer, vector or list is known to nobody but the call itself: what the kernel writes there later must
 * not go to somebody else's block. Calls that the library wraps, and one by the system call itself. */
#include "trap_asm.h"
#if TRAP_HAS_ASM
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/msg.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct call {
    long arg[4], flip[4]; /* arg ^ flip is passed */
    long (*fn)(long, long, long, long);
};
/* Nothing but the callee has the addresses. */
long trap_call_flipped(const struct call *c);
__asm__(".text\n"
        ".globl trap_call_flipped\n"
        ".type trap_call_flipped, @function\n"
        "trap_call_flipped:\n"
        "\tmov %rdi, %rax\n"
        "\tmov (%rax), %rdi\n\tmov 8(%rax), %rsi\n\tmov 16(%rax), %rdx\n\tmov 24(%rax), %rcx\n"
        "\txor 32(%rax), %rdi\n\txor 40(%rax), %rsi\n\txor 48(%rax), %rdx\n\txor 56(%rax), %rcx\n"
        "\txor %r8d, %r8d\n"
        "\tjmp *64(%rax)\n"
        ".size trap_call_flipped, . - trap_call_flipped\n");

enum { N_CALLS = 8, BY_READ = 0, BY_RECV, BY_READV, BY_POLL, BY_EPOLL, BY_MSGRCV, BY_SIGWAIT, BY_SYSCALL };
struct waiter {
    struct trap_thread thread;
    struct call call;
};
static struct waiter waiters[N_CALLS];
static int pipes[N_CALLS][2], sockets[2], epoll_fd, queue;
static sigset_t usr1;

static void *body(void *arg)
{
    struct waiter *w = arg;
    trap_clear_stack();
    atomic_store(&w->thread.ready, 1);
    TEST_CHECK(trap_call_flipped(&w->call) > 0);
    return NULL;
}

static struct call call_of(void *fn, long a, long b, long c, long d, int which, uintptr_t hidden)
{
    struct call call = {.arg = {a, b, c, d}, .fn = (long (*)(long, long, long, long))fn};
    call.arg[which] = (long)hidden;
    call.flip[which] = -1;
    return call;
}

/* The vector's only entry leads to the buffer. */
static __attribute__((noinline)) void fill_vector(uintptr_t vector, uintptr_t buffer)
{
    struct iovec *v = trap_reveal(vector);
    *v = (struct iovec){trap_reveal(buffer), TRAP_SIZE};
}

static __attribute__((noinline)) void fill_poll(uintptr_t list)
{
    *(struct pollfd *)trap_reveal(list) = (struct pollfd){.fd = pipes[BY_POLL][0], .events = POLLIN};
}

static void prepare(uintptr_t hidden[N_CALLS], uintptr_t vector)
{
    struct epoll_event event = {.events = EPOLLIN};
    for (int i = 0; i < N_CALLS; i++)
        TEST_CHECK(pipe(pipes[i]) == 0);
    TEST_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    TEST_CHECK((epoll_fd = epoll_create1(EPOLL_CLOEXEC)) >= 0);
    TEST_CHECK(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pipes[BY_EPOLL][0], &event) == 0);
    TEST_CHECK((queue = msgget(IPC_PRIVATE, 0600)) >= 0);
    fill_vector(vector, hidden[BY_READV]);
    fill_poll(hidden[BY_POLL]);
    waiters[BY_READ].call = call_of((void *)read, pipes[BY_READ][0], 0, TRAP_SIZE, 0, 1, hidden[BY_READ]);
    waiters[BY_RECV].call = call_of((void *)recv, sockets[0], 0, TRAP_SIZE, 0, 1, hidden[BY_RECV]);
    waiters[BY_READV].call = call_of((void *)readv, pipes[BY_READV][0], 0, 1, 0, 1, vector);
    waiters[BY_POLL].call = call_of((void *)poll, 0, 1, -1, 0, 0, hidden[BY_POLL]);
    waiters[BY_EPOLL].call = call_of((void *)epoll_wait, epoll_fd, 0, 1, -1, 1, hidden[BY_EPOLL]);
    waiters[BY_MSGRCV].call = call_of((void *)msgrcv, queue, 0, 8, 0, 1, hidden[BY_MSGRCV]);
    waiters[BY_SIGWAIT].call = call_of((void *)sigwaitinfo, (long)&usr1, 0, 0, 0, 1, hidden[BY_SIGWAIT]);
    waiters[BY_SYSCALL].call =
        call_of((void *)syscall, SYS_read, pipes[BY_SYSCALL][0], 0, TRAP_SIZE, 2, hidden[BY_SYSCALL]);
}

/* Each call ends, and has written to its block. */
static void wake_all(void)
{
    struct msgbuf {
        long type;
        char text[8];
    } message = {7, "message"};
    union sigval value = {.sival_int = 5};
    static const int by_pipe[] = {BY_READ, BY_READV, BY_POLL, BY_EPOLL, BY_SYSCALL};
    for (size_t i = 0; i < sizeof(by_pipe) / sizeof(by_pipe[0]); i++)
        TEST_CHECK(write(pipes[by_pipe[i]][1], "written", 8) == 8);
    TEST_CHECK(send(sockets[1], "written", 8, 0) == 8);
    TEST_CHECK(msgsnd(queue, &message, 8, 0) == 0);
    TEST_CHECK(pthread_sigqueue(waiters[BY_SIGWAIT].thread.id, SIGUSR1, value) == 0);
    for (int i = 0; i < N_CALLS; i++)
        pthread_join(waiters[i].thread.id, NULL);
    msgctl(queue, IPC_RMID, NULL);
}

static void check_written(const uintptr_t hidden[N_CALLS])
{
    static const int with_text[] = {BY_READ, BY_RECV, BY_READV, BY_SYSCALL};
    for (size_t i = 0; i < sizeof(with_text) / sizeof(with_text[0]); i++)
        TEST_CHECK(memcmp(trap_reveal(hidden[with_text[i]]), "written", 8) == 0);
    TEST_CHECK(((struct pollfd *)trap_reveal(hidden[BY_POLL]))->revents == POLLIN);
    TEST_CHECK(((struct epoll_event *)trap_reveal(hidden[BY_EPOLL]))->events == EPOLLIN);
    TEST_CHECK(memcmp((char *)trap_reveal(hidden[BY_MSGRCV]) + sizeof(long), "message", 8) == 0);
    TEST_CHECK(((siginfo_t *)trap_reveal(hidden[BY_SIGWAIT]))->si_signo == SIGUSR1);
}

int main(void)
{
    uintptr_t hidden[N_CALLS], vector = trap_new();
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &usr1, NULL);
    for (int i = 0; i < N_CALLS; i++)
        hidden[i] = trap_new();
    prepare(hidden, vector);
    trap_forget(vector); /* what lies in these two is not what was filled in */
    trap_forget(hidden[BY_POLL]);
    for (int i = 0; i < N_CALLS; i++) {
        if (pthread_create(&waiters[i].thread.id, NULL, body, &waiters[i]) != 0)
            TEST_FAIL("pthread_create");
        trap_wait(&waiters[i].thread.ready);
    }
    usleep(50000); /* into the calls */
    trap_verify();
    TEST_CHECK(trap_find(trap_reveal(vector)) == trap_reveal(vector));
    TEST_CHECK(trap_find(trap_reveal(hidden[BY_POLL])) == trap_reveal(hidden[BY_POLL]));
    wake_all();
    check_written(hidden);
    return 0;
}
#else
int main(void)
{
    TEST_SKIP("written for x86-64");
}
#endif
