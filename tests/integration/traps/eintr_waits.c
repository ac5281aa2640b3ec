/* Children, ioctl, queues, locks and conditions without a time-out, which the kernel restarts after a handler with
 * SA_RESTART; see eintr.h and eintr_files.c. */
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <semaphore.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include "eintr.h"

static int ends[2];
static char byte;
static struct iovec one_byte = {&byte, 1};

static pid_t child_of_some_time(void)
{
    pid_t child = fork();
    TEST_CHECK(child >= 0);
    if (child != 0)
        return child;
    struct timespec t = wait_time;
    while (nanosleep(&t, &t) != 0)
        continue;
    _exit(0);
}

static int wait_wait(void)
{
    pid_t child = child_of_some_time();
    return expect(wait(NULL), child);
}

static int wait_wait3(void)
{
    pid_t child = child_of_some_time();
    return expect(wait3(NULL, 0, NULL), child);
}

static int wait_wait4(void)
{
    pid_t child = child_of_some_time();
    return expect(wait4(child, NULL, 0, NULL), child);
}

static int wait_waitid(void)
{
    siginfo_t info;
    return waitid(P_PID, (id_t)child_of_some_time(), &info, WEXITED);
}

/* A call that is made for a supervisor waits for it, which receives it by ioctl. */
static int receive_notification(int fd)
{
    struct {
        struct seccomp_notif n;
        char room[256]; /* of later kernels */
    } request;
    struct {
        struct seccomp_notif_resp r;
        char room[256];
    } reply;
    memset(&request, 0, sizeof(request));
    memset(&reply, 0, sizeof(reply));
    int result = ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &request), error = errno;
    reply.r.id = request.n.id;
    if (result == 0)
        TEST_CHECK(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &reply) == 0);
    errno = error;
    return result;
}

static void send_descriptor(int fd)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr aligned;
    } control;
    struct msghdr m = {.msg_iov = &one_byte, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    if (sendmsg(ends[1], &m, 0) != 1)
        _exit(3);
}

static int receive_descriptor(void)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr aligned;
    } control;
    struct msghdr m = {.msg_iov = &one_byte, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    int fd = -1;
    if (recvmsg(ends[0], &m, 0) == 1 && CMSG_FIRSTHDR(&m) != NULL)
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
    return fd;
}

static void child_under_filter(void)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof(program) / sizeof(program[0]), program};
    struct timespec t = wait_time;
    close(ends[0]);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    int fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
    if (fd < 0)
        _exit(2);
    send_descriptor(fd);
    close(fd);
    while (nanosleep(&t, &t) != 0)
        continue;
    _exit(syscall(SYS_getppid) == 0 ? 0 : 1);
}

static int wait_ioctl(void)
{
    int status;
    TEST_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    pid_t child = fork();
    TEST_CHECK(child >= 0);
    if (child == 0)
        child_under_filter();
    close(ends[1]);
    int fd = receive_descriptor(), result = fd >= 0 ? receive_notification(fd) : -1, error = errno;
    close(fd);
    close(ends[0]);
    TEST_CHECK(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
        TEST_SKIP("no filter that notifies can be set here");
    errno = error;
    return result == 0 && status == 0 ? 0 : -1;
}

/* ---- queues, semaphores, locks, conditions, threads ---- */

static mqd_t queue;
static char message[64];

static void open_queue(void)
{
    char name[64];
    struct mq_attr attr = {.mq_maxmsg = 1, .mq_msgsize = sizeof(message)};
    snprintf(name, sizeof(name), "/trap-eintr-%d", (int)getpid());
    queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
    if (queue == (mqd_t)-1)
        TEST_SKIP("no POSIX queues");
    mq_unlink(name);
}

static void put_message(void)
{
    TEST_CHECK(mq_send(queue, message, sizeof(message), 0) == 0);
}

static void take_message(void)
{
    TEST_CHECK(mq_receive(queue, message, sizeof(message), NULL) == sizeof(message));
}

static int call_mq_receive(void)
{
    return expect(mq_receive(queue, message, sizeof(message), NULL), sizeof(message));
}

static int call_mq_send(void)
{
    return mq_send(queue, message, sizeof(message), 0);
}

static int on_queue(void (*how)(void), int (*call)(void))
{
    int result = released_by(how, call), error = errno;
    mq_close(queue);
    errno = error;
    return result;
}

static int wait_mq_receive(void)
{
    open_queue();
    return on_queue(put_message, call_mq_receive);
}

static int wait_mq_send(void)
{
    open_queue();
    put_message();
    return on_queue(take_message, call_mq_send);
}

static int wait_mq_timedsend(void)
{
    struct timespec t = from_now(CLOCK_REALTIME);
    open_queue();
    put_message();
    int result = mq_timedsend(queue, message, sizeof(message), 0, &t), error = errno;
    mq_close(queue);
    return timed_out(result, error, ETIMEDOUT);
}

static uint32_t futex_word;

static void wake_futex(void)
{
    __atomic_store_n(&futex_word, 1, __ATOMIC_SEQ_CST);
    TEST_CHECK(syscall(SYS_futex, &futex_word, FUTEX_WAKE, 1, NULL, NULL, 0) >= 0);
}

static int call_futex(void)
{
    return (int)syscall(SYS_futex, &futex_word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static int wait_futex_forever(void)
{
    futex_word = 0;
    return released_by(wake_futex, call_futex);
}

static sem_t semaphore;

static void post(void)
{
    sem_post(&semaphore);
}

static int call_sem_wait(void)
{
    return sem_wait(&semaphore);
}

static int wait_sem_wait(void)
{
    sem_init(&semaphore, 0, 0);
    return released_by(post, call_sem_wait);
}

/* A lock that another thread has, which says so when it has it. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t is_locked;

static void *hold_locks(void *arg)
{
    struct timespec t = wait_time;
    pthread_mutex_lock(&mutex);
    pthread_rwlock_wrlock(&rwlock);
    sem_post(&is_locked);
    while (nanosleep(&t, &t) != 0)
        continue;
    pthread_rwlock_unlock(&rwlock);
    pthread_mutex_unlock(&mutex);
    return arg;
}

static int while_locked(int (*lock)(void))
{
    pthread_t thread;
    sem_init(&is_locked, 0, 0);
    TEST_CHECK(pthread_create(&thread, NULL, hold_locks, NULL) == 0 && sem_wait(&is_locked) == 0);
    errno = lock();
    int error = errno;
    TEST_CHECK(pthread_join(thread, NULL) == 0);
    errno = error;
    return error == 0 ? 0 : -1;
}

static int call_mutex_lock(void)
{
    int error = pthread_mutex_lock(&mutex);
    return error != 0 ? error : pthread_mutex_unlock(&mutex);
}

static int call_mutex_timedlock(void)
{
    struct timespec t = {.tv_sec = time(NULL) + 60};
    int error = pthread_mutex_timedlock(&mutex, &t);
    return error != 0 ? error : pthread_mutex_unlock(&mutex);
}

static int call_rwlock_rdlock(void)
{
    int error = pthread_rwlock_rdlock(&rwlock);
    return error != 0 ? error : pthread_rwlock_unlock(&rwlock);
}

static int wait_mutex_lock(void)
{
    return while_locked(call_mutex_lock);
}

static int wait_mutex_timedlock(void)
{
    return while_locked(call_mutex_timedlock);
}

static int wait_rwlock_rdlock(void)
{
    return while_locked(call_rwlock_rdlock);
}

static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static bool is_signalled;

static void signal_condition(void)
{
    pthread_mutex_lock(&mutex);
    is_signalled = true;
    pthread_cond_signal(&condition);
    pthread_mutex_unlock(&mutex);
}

static int call_cond_wait(void)
{
    int error = 0;
    pthread_mutex_lock(&mutex);
    while (error == 0 && !is_signalled)
        error = pthread_cond_wait(&condition, &mutex);
    pthread_mutex_unlock(&mutex);
    errno = error;
    return error == 0 ? 0 : -1;
}

static int wait_cond_wait(void)
{
    is_signalled = false;
    return released_by(signal_condition, call_cond_wait);
}

static void nothing(void)
{
}

static int wait_join(void)
{
    pthread_t thread;
    release = nothing;
    TEST_CHECK(pthread_create(&thread, NULL, releaser, NULL) == 0);
    errno = pthread_join(thread, NULL);
    return errno == 0 ? 0 : -1;
}

static int wait_sigwait(void)
{
    sigset_t set;
    int signo;
    struct itimerval after = {.it_value = {.tv_usec = WAIT_MS * 1000}};
    sigemptyset(&set);
    sigaddset(&set, SIGALRM); /* blocked in every thread but this one */
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    TEST_CHECK(setitimer(ITIMER_REAL, &after, NULL) == 0);
    errno = sigwait(&set, &signo);
    return errno == 0 && signo == SIGALRM ? 0 : -1;
}

static int wait_epoll_pwait2(void)
{
    int fd = epoll_create1(0);
    struct epoll_event event;
    int result = epoll_pwait2(fd, &event, 1, &wait_time, NULL), error = errno;
    close(fd);
    if (result == -1 && error == ENOSYS)
        TEST_SKIP("no epoll_pwait2");
    errno = error;
    return result;
}

static const struct eintr_case cases[] = {
    {"ioctl", wait_ioctl},
    {"wait", wait_wait},
    {"wait_three", wait_wait3},
    {"wait_four", wait_wait4},
    {"waitid", wait_waitid},
    {"mq_receive", wait_mq_receive},
    {"mq_send", wait_mq_send},
    {"mq_timedsend", wait_mq_timedsend},
    {"futex_forever", wait_futex_forever},
    {"sem_wait", wait_sem_wait},
    {"mutex_lock", wait_mutex_lock},
    {"mutex_timedlock", wait_mutex_timedlock},
    {"rwlock_rdlock", wait_rwlock_rdlock},
    {"cond_wait", wait_cond_wait},
    {"join", wait_join},
    {"sigwait", wait_sigwait},
    {"epoll_pwait_two", wait_epoll_pwait2},
};

EINTR_MAIN(cases)
