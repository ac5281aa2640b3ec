/* Sockets with timeouts, waits that a signal or another thread ends, locks and children; see eintr.h. */
#include <fcntl.h>
#include <mqueue.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "eintr.h"

int __xpg_sigpause(int sig); /* what <signal.h> calls sigpause */

static void set_timeout(int fd, int option)
{
    struct timeval t = {.tv_usec = WAIT_MS * 1000};
    TEST_CHECK(setsockopt(fd, SOL_SOCKET, option, &t, sizeof(t)) == 0);
}

static int wait_recvfrom_timeout(void)
{
    char byte;
    set_timeout(fds[0], SO_RCVTIMEO);
    int result = (int)recvfrom(fds[0], &byte, 1, 0, NULL, NULL);
    return timed_out(result, errno, EAGAIN);
}

static int wait_recvmsg_timeout(void)
{
    char byte;
    struct iovec part = {&byte, 1};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    set_timeout(fds[0], SO_RCVTIMEO);
    int result = (int)recvmsg(fds[0], &m, 0);
    return timed_out(result, errno, EAGAIN);
}

static int wait_recvmmsg_timeout(void)
{
    char byte;
    struct iovec part = {&byte, 1};
    struct mmsghdr m = {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
    set_timeout(fds[0], SO_RCVTIMEO);
    int result = recvmmsg(fds[0], &m, 1, 0, NULL);
    return timed_out(result, errno, EAGAIN);
}

static int wait_readv_timeout(void)
{
    char byte;
    struct iovec part = {&byte, 1};
    set_timeout(fds[0], SO_RCVTIMEO);
    int result = (int)readv(fds[0], &part, 1);
    return timed_out(result, errno, EAGAIN);
}

static int listener(struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    socklen_t len = sizeof(sa_family_t);
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    TEST_CHECK(fd >= 0 && bind(fd, (struct sockaddr *)address, len) == 0 && listen(fd, 0) == 0);
    len = sizeof(*address);
    TEST_CHECK(getsockname(fd, (struct sockaddr *)address, &len) == 0);
    return fd;
}

static int wait_accept_timeout(void)
{
    struct sockaddr_un address;
    int fd = listener(&address);
    set_timeout(fd, SO_RCVTIMEO);
    int result = accept(fd, NULL, NULL), error = errno;
    close(fd);
    return timed_out(result, error, EAGAIN);
}

static int wait_accept4_timeout(void)
{
    struct sockaddr_un address;
    int fd = listener(&address);
    set_timeout(fd, SO_RCVTIMEO);
    int result = accept4(fd, NULL, NULL, 0), error = errno;
    close(fd);
    return timed_out(result, error, EAGAIN);
}

/* The queue of the listener is full. */
static int wait_connect_timeout(void)
{
    struct sockaddr_un address;
    int fd = listener(&address), first = socket(AF_UNIX, SOCK_STREAM, 0), second = socket(AF_UNIX, SOCK_STREAM, 0);
    socklen_t len = sizeof(sa_family_t) + 6; /* an automatic name: NUL and five digits */
    TEST_CHECK(connect(first, (struct sockaddr *)&address, len) == 0);
    set_timeout(second, SO_SNDTIMEO);
    int result = connect(second, (struct sockaddr *)&address, len), error = errno;
    close(fd);
    close(first);
    close(second);
    return timed_out(result, error, EAGAIN);
}

static void fill_socket(void)
{
    static char text[4096];
    while (send(fds[0], text, sizeof(text), MSG_DONTWAIT) > 0)
        continue;
    while (send(fds[0], text, 1, MSG_DONTWAIT) > 0)
        continue;
    set_timeout(fds[0], SO_SNDTIMEO);
}

static char bulk[100000];

static int wait_send_timeout(void)
{
    fill_socket();
    int result = (int)send(fds[0], bulk, sizeof(bulk), 0);
    return timed_out(result, errno, EAGAIN);
}

static int wait_sendto_timeout(void)
{
    fill_socket();
    int result = (int)sendto(fds[0], bulk, sizeof(bulk), 0, NULL, 0);
    return timed_out(result, errno, EAGAIN);
}

static int wait_sendmsg_timeout(void)
{
    struct iovec part = {bulk, sizeof(bulk)};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    fill_socket();
    int result = (int)sendmsg(fds[0], &m, 0);
    return timed_out(result, errno, EAGAIN);
}

static int wait_write_timeout(void)
{
    fill_socket();
    int result = (int)write(fds[0], bulk, sizeof(bulk));
    return timed_out(result, errno, EAGAIN);
}

/* The rest end by what another thread does after the time. */
static pthread_t waiting_thread;

static void release_later(void (*how)(void))
{
    pthread_t id;
    release = how;
    waiting_thread = pthread_self();
    TEST_CHECK(pthread_create(&id, NULL, releaser, NULL) == 0);
    pthread_detach(id);
}

static _Atomic int n_handled;

static void count_signal(int signo)
{
    (void)signo;
    n_handled++;
}

static void send_signal(void)
{
    pthread_kill(waiting_thread, SIGUSR1);
}

/* Exactly the program's own signal ends it. */
static int wait_for_signal(int (*call)(void))
{
    struct sigaction action = {.sa_handler = count_signal};
    sigaction(SIGUSR1, &action, NULL);
    n_handled = 0;
    release_later(send_signal);
    int result = call(), error = errno;
    TEST_CHECK(n_handled == 1);
    return timed_out(result, error, EINTR);
}

static int call_pause(void)
{
    return pause();
}

static int call_sigsuspend(void)
{
    sigset_t none;
    sigemptyset(&none);
    return sigsuspend(&none);
}

static int call_sigpause(void)
{
    return __xpg_sigpause(SIGUSR2);
}

static int wait_pause(void)
{
    return wait_for_signal(call_pause);
}

static int wait_sigsuspend(void)
{
    return wait_for_signal(call_sigsuspend);
}

static int wait_sigpause(void)
{
    return wait_for_signal(call_sigpause);
}

static int wait_sigwaitinfo(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    release_later(send_signal);
    return sigwaitinfo(&set, NULL) == SIGUSR1 ? 0 : -1;
}

static int semaphores;

static void give_semaphore(void)
{
    struct sembuf give = {.sem_op = 1};
    semop(semaphores, &give, 1);
}

static int wait_semop(void)
{
    struct sembuf take = {.sem_op = -1};
    semaphores = semget(IPC_PRIVATE, 1, 0600);
    if (semaphores < 0)
        TEST_SKIP("no System V semaphores");
    release_later(give_semaphore);
    int result = semop(semaphores, &take, 1), error = errno;
    semctl(semaphores, 0, IPC_RMID);
    errno = error;
    return result;
}

static int queue_id;

static void empty_queue(void)
{
    static char text[16384];
    const int id = queue_id; /* the waiting thread goes on to the next round, and to another queue */
    while (msgrcv(id, text, sizeof(text) - sizeof(long), 0, IPC_NOWAIT) > 0)
        continue;
}

static int wait_msgsnd(void)
{
    static struct {
        long type;
        char text[4096];
    } m = {.type = 1};
    queue_id = msgget(IPC_PRIVATE, 0600);
    if (queue_id < 0)
        TEST_SKIP("no System V queues");
    while (msgsnd(queue_id, &m, sizeof(m.text), IPC_NOWAIT) == 0)
        continue;
    release_later(empty_queue);
    int result = msgsnd(queue_id, &m, sizeof(m.text), 0), error = errno;
    msgctl(queue_id, IPC_RMID, NULL);
    errno = error;
    return result;
}

static int wait_mq_timedreceive(void)
{
    char name[64], text[64];
    struct mq_attr attr = {.mq_maxmsg = 1, .mq_msgsize = sizeof(text)};
    struct timespec t = from_now(CLOCK_REALTIME);
    snprintf(name, sizeof(name), "/trap-eintr-%d", (int)getpid());
    mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
    if (queue == (mqd_t)-1)
        TEST_SKIP("no POSIX queues");
    mq_unlink(name);
    int result = (int)mq_timedreceive(queue, text, sizeof(text), NULL, &t), error = errno;
    mq_close(queue);
    return timed_out(result, error, ETIMEDOUT);
}

static int lock_fd;

static void unlock_file(void)
{
    flock(lock_fd, LOCK_UN);
}

static int wait_flock(void)
{
    FILE *f = tmpfile();
    char path[64];
    TEST_CHECK(f != NULL);
    lock_fd = fileno(f);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", lock_fd);
    int other = open(path, O_RDWR);
    TEST_CHECK(other >= 0 && flock(lock_fd, LOCK_EX) == 0);
    release_later(unlock_file);
    int result = flock(other, LOCK_EX), error = errno;
    close(other);
    fclose(f);
    errno = error;
    return result;
}

static int wait_waitpid(void)
{
    int status = 0;
    pid_t child = fork();
    TEST_CHECK(child >= 0);
    if (child == 0) {
        usleep(WAIT_MS * 1000);
        _exit(0);
    }
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : -1;
}

static const struct eintr_case cases[] = {
    {"readv_timeout", wait_readv_timeout},
    {"recvfrom_timeout", wait_recvfrom_timeout},
    {"recvmsg_timeout", wait_recvmsg_timeout},
    {"recvmmsg_timeout", wait_recvmmsg_timeout},
    {"accept_timeout", wait_accept_timeout},
    {"accept_four_timeout", wait_accept4_timeout},
    {"connect_timeout", wait_connect_timeout},
    {"send_timeout", wait_send_timeout},
    {"sendto_timeout", wait_sendto_timeout},
    {"sendmsg_timeout", wait_sendmsg_timeout},
    {"write_timeout", wait_write_timeout},
    {"pause", wait_pause},
    {"sigsuspend", wait_sigsuspend},
    {"sigpause", wait_sigpause},
    {"sigwaitinfo", wait_sigwaitinfo},
    {"semop", wait_semop},
    {"msgsnd", wait_msgsnd},
    {"mq_timedreceive", wait_mq_timedreceive},
    {"flock", wait_flock},
    {"waitpid", wait_waitpid},
};

EINTR_MAIN(cases)
