/* Calls that wait for a time: polls, sleeps, semaphores, conditions, signals, queues; see eintr.h. */
#include <linux/futex.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/time.h>
#include <threads.h>
#include "eintr.h"

static int fd_wait_poll(void)
{
    struct pollfd p = {.fd = nobody[0], .events = POLLIN};
    return poll(&p, 1, WAIT_MS);
}

static int fd_wait_ppoll(void)
{
    struct pollfd p = {.fd = nobody[0], .events = POLLIN};
    sigset_t none;
    sigemptyset(&none);
    return ppoll(&p, 1, &wait_time, &none);
}

static int fd_wait_select(void)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(nobody[0], &set);
    struct timeval t = {.tv_usec = WAIT_MS * 1000};
    return select(nobody[0] + 1, &set, NULL, NULL, &t);
}

static int fd_wait_pselect(void)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(nobody[0], &set);
    return pselect(nobody[0] + 1, &set, NULL, NULL, &wait_time, NULL);
}

static int epoll_new(void)
{
    int fd = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    TEST_CHECK(fd >= 0 && epoll_ctl(fd, EPOLL_CTL_ADD, nobody[0], &event) == 0);
    return fd;
}

static int fd_wait_epoll(void)
{
    int fd = epoll_new();
    struct epoll_event event;
    int result = epoll_wait(fd, &event, 1, WAIT_MS), error = errno;
    close(fd);
    errno = error;
    return result;
}

static int fd_wait_epoll_p(void)
{
    int fd = epoll_new();
    struct epoll_event event;
    int result = epoll_pwait(fd, &event, 1, WAIT_MS, NULL), error = errno;
    close(fd);
    errno = error;
    return result;
}

static int sleep_nanosleep(void)
{
    return nanosleep(&wait_time, NULL);
}

static int sleep_clock(void)
{
    errno = clock_nanosleep(CLOCK_MONOTONIC, 0, &wait_time, NULL);
    return errno == 0 ? 0 : -1;
}

static int sleep_clock_absolute(void)
{
    struct timespec t = from_now(CLOCK_REALTIME);
    errno = clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL);
    return errno == 0 ? 0 : -1;
}

static int sleep_usleep(void)
{
    return usleep(WAIT_MS * 1000);
}

static int sleep_sleep(void)
{
    return (int)sleep(1); /* seconds that are left */
}

static int sleep_thrd(void)
{
    return thrd_sleep(&wait_time, NULL);
}

static int wait_sem_timedwait(void)
{
    sem_t s;
    sem_init(&s, 0, 0);
    struct timespec t = from_now(CLOCK_REALTIME);
    int result = sem_timedwait(&s, &t);
    return timed_out(result, errno, ETIMEDOUT);
}

static int wait_sem_clockwait(void)
{
    sem_t s;
    sem_init(&s, 0, 0);
    struct timespec t = from_now(CLOCK_MONOTONIC);
    int result = sem_clockwait(&s, CLOCK_MONOTONIC, &t);
    return timed_out(result, errno, ETIMEDOUT);
}

static int wait_cond_timedwait(void)
{
    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t c = PTHREAD_COND_INITIALIZER;
    struct timespec t = from_now(CLOCK_REALTIME);
    pthread_mutex_lock(&m);
    int result;
    uint64_t until = now_ns() + WAIT_MS * 1000000ull;
    do /* spurious wake-ups are allowed here */
        result = pthread_cond_timedwait(&c, &m, &t);
    while (result == 0 && now_ns() < until);
    return timed_out(-1, result, ETIMEDOUT);
}

/* As threads of Rust programs wait. */
static int wait_futex(void)
{
    uint32_t word = 0;
    int result = (int)syscall(SYS_futex, &word, FUTEX_WAIT, 0, &wait_time, NULL, 0);
    return timed_out(result, errno, ETIMEDOUT);
}

static int wait_futex_bitset(void)
{
    uint32_t word = 0;
    struct timespec t = from_now(CLOCK_MONOTONIC);
    int result = (int)syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &t, NULL, FUTEX_BITSET_MATCH_ANY);
    return timed_out(result, errno, ETIMEDOUT);
}

static int wait_sigtimedwait(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    int result = sigtimedwait(&set, NULL, &wait_time);
    return timed_out(result, errno, EAGAIN);
}

static int wait_semtimedop(void)
{
    int id = semget(IPC_PRIVATE, 1, 0600);
    if (id < 0)
        TEST_SKIP("no System V semaphores");
    struct sembuf take = {.sem_op = -1};
    int result = semtimedop(id, &take, 1, &wait_time), error = errno;
    semctl(id, 0, IPC_RMID);
    return timed_out(result, error, EAGAIN);
}

static int wait_recv_timeout(void)
{
    struct timeval t = {.tv_usec = WAIT_MS * 1000};
    char byte;
    TEST_CHECK(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) == 0);
    ssize_t result = recv(fds[0], &byte, 1, 0);
    return timed_out((int)result, errno, EAGAIN);
}

static int wait_read_timeout(void)
{
    struct timeval t = {.tv_usec = WAIT_MS * 1000};
    char byte;
    TEST_CHECK(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) == 0);
    ssize_t result = read(fds[0], &byte, 1);
    return timed_out((int)result, errno, EAGAIN);
}

static int queue_id;

static void *queue_sender(void *arg)
{
    struct {
        long type;
        char text[8];
    } m = {.type = 1};
    struct timespec t = wait_time;
    while (nanosleep(&t, &t) != 0)
        ;
    TEST_CHECK(msgsnd(queue_id, &m, sizeof(m.text), 0) == 0);
    return arg;
}

static int wait_msgrcv(void)
{
    struct {
        long type;
        char text[8];
    } m;
    pthread_t sender;
    queue_id = msgget(IPC_PRIVATE, 0600);
    if (queue_id < 0)
        TEST_SKIP("no System V queues");
    pthread_create(&sender, NULL, queue_sender, NULL);
    ssize_t result = msgrcv(queue_id, &m, sizeof(m.text), 0, 0);
    int error = errno;
    pthread_join(sender, NULL);
    msgctl(queue_id, IPC_RMID, NULL);
    errno = error;
    return result == sizeof(m.text) ? 0 : -1;
}

static void own_handler(int sig)
{
    (void)sig;
}

static int own_signal(void)
{
    struct sigaction action = {.sa_handler = own_handler};
    struct itimerval after = {.it_value = {.tv_usec = WAIT_MS * 1000}};
    struct pollfd p = {.fd = nobody[0], .events = POLLIN};
    TEST_CHECK(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &after, NULL) == 0);
    int result = poll(&p, 1, -1);
    return timed_out(result, errno, EINTR);
}

static const struct eintr_case cases[] = {
    {"poll", fd_wait_poll},
    {"ppoll", fd_wait_ppoll},
    {"select", fd_wait_select},
    {"pselect", fd_wait_pselect},
    {"epoll_wait", fd_wait_epoll},
    {"epoll_pwait", fd_wait_epoll_p},
    {"nanosleep", sleep_nanosleep},
    {"clock_nanosleep", sleep_clock},
    {"clock_nanosleep_absolute", sleep_clock_absolute},
    {"usleep", sleep_usleep},
    {"sleep", sleep_sleep},
    {"thrd_sleep", sleep_thrd},
    {"sem_timedwait", wait_sem_timedwait},
    {"sem_clockwait", wait_sem_clockwait},
    {"cond_timedwait", wait_cond_timedwait},
    {"futex", wait_futex},
    {"futex_bitset", wait_futex_bitset},
    {"sigtimedwait", wait_sigtimedwait},
    {"semtimedop", wait_semtimedop},
    {"msgrcv", wait_msgrcv},
    {"recv_timeout", wait_recv_timeout},
    {"read_timeout", wait_read_timeout},
    {"own_signal", own_signal},
};

EINTR_MAIN(cases)
