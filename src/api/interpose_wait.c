/* Wrapped calls that wait for time, descriptors, semaphores, conditions, signals, messages and children; see
 * block.h.
 *
 * Most of them the kernel never restarts after a signal handler, so stopping such a thread by a signal would
 * let the call fail with EINTR. The others are here because threads spend their lives in them, and are then
 * stopped for nothing.
 * Not here  sockets and files: interpose_io.c. pthread_join, which frees inside, and mutexes, which are too
 *         hot.
 */
#include <aio.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>
#include "api/block.h"
#include "api/interpose.h"
#include "api/parked.h"

/* Second names of libc, which old objects call. */
EXPORT int __poll(struct pollfd *fds, nfds_t n, int timeout_ms);
EXPORT int __select(int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout);
EXPORT int __nanosleep(const struct timespec *wanted, struct timespec *left);
EXPORT int __sigpause(int sig_or_mask, int is_sig);
EXPORT int __xpg_sigpause(int sig);
EXPORT int bsd_sigpause(int mask) __asm__("sigpause");
/* What programs call that were compiled with _FORTIFY_SOURCE. */
EXPORT int __poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t fds_bytes);
EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask,
                       size_t fds_bytes);

BLOCK_MS(poll, (struct pollfd *fds, nfds_t n, int timeout_ms), (fds, n, timeout_ms))
BLOCK_MS(__poll, (struct pollfd *fds, nfds_t n, int timeout_ms), (fds, n, timeout_ms))
BLOCK_MS(__poll_chk, (struct pollfd *fds, nfds_t n, int timeout_ms, size_t fds_bytes),
           (fds, n, timeout_ms, fds_bytes))
BLOCK_TS(ppoll, (struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask),
           (fds, n, timeout, mask))
BLOCK_TS(__ppoll_chk,
           (struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask,
            size_t fds_bytes),
           (fds, n, timeout, mask, fds_bytes))
BLOCK_CALL(int, select, (int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout),
           (n, in, out, except, timeout))
BLOCK_CALL(int, __select, (int n, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout),
           (n, in, out, except, timeout))
BLOCK_TS(pselect,
           (int n, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout,
            const sigset_t *mask),
           (n, in, out, except, timeout, mask))
BLOCK_MS(epoll_wait, (int fd, struct epoll_event *events, int n, int timeout_ms),
           (fd, events, n, timeout_ms))
BLOCK_MS(epoll_pwait, (int fd, struct epoll_event *events, int n, int timeout_ms,
            const sigset_t *mask),
           (fd, events, n, timeout_ms, mask))
BLOCK_TS(epoll_pwait2,
           (int fd, struct epoll_event *events, int n, const struct timespec *timeout, const sigset_t *mask),
           (fd, events, n, timeout, mask))

/* With parameters wanted and left, as nanosleep has them: the kernel says what is left. It says nothing where the time
 * is absolute, and then nothing needs to be said. */
#define SLEEP(name, params, args, missing, interrupted)                                                      \
    BLOCK_BEGIN(int, name, params, missing)                                                                  \
    struct timespec *const program_left = left;                                                              \
    struct timespec next, rest = {0, -1};                                                                    \
    left = &rest;                                                                                            \
    block_enter(&frame, block_is_foreign);                                                                   \
    for (;;) {                                                                                               \
        block_result = block_real args;                                                                      \
        if (LIKELY(!(interrupted)) || !block_is_only_ours(&frame))                                           \
            break;                                                                                           \
        next = rest;                                                                                         \
        wanted = rest.tv_nsec < 0 ? wanted : &next;                                                          \
    }                                                                                                        \
    if (UNLIKELY(interrupted) && program_left != NULL && rest.tv_nsec >= 0)                                  \
        *program_left = rest;                                                                                \
    BLOCK_END

SLEEP(nanosleep, (const struct timespec *wanted, struct timespec *left), (wanted, left), block_missing(),
      BLOCK_IS_EINTR)
SLEEP(__nanosleep, (const struct timespec *wanted, struct timespec *left), (wanted, left), block_missing(),
      BLOCK_IS_EINTR)
SLEEP(thrd_sleep, (const struct timespec *wanted, struct timespec *left), (wanted, left), -2,
      block_result == -1)
SLEEP(clock_nanosleep, (clockid_t clock, int flags, const struct timespec *wanted, struct timespec *left),
      (clock, flags, wanted, left), ENOSYS, block_result == EINTR)

/* libc's are made of nanosleep as well, but of its own. */
EXPORT int usleep(useconds_t us)
{
    struct timespec wanted = {us / 1000000, (long)(us % 1000000) * 1000};

    return nanosleep(&wanted, NULL);
}

EXPORT unsigned sleep(unsigned seconds)
{
    struct timespec wanted = {seconds, 0}, left = {0, 0};
    int saved_errno = errno;

    if (nanosleep(&wanted, &left) != 0)
        return (unsigned)left.tv_sec;
    errno = saved_errno;
    return 0;
}

BLOCK_CALL(int, pause, (void), ())
BLOCK_CALL(int, sigsuspend, (const sigset_t *mask), (mask))
BLOCK_CALL(int, __sigpause, (int sig_or_mask, int is_sig), (sig_or_mask, is_sig))
BLOCK_CALL(int, __xpg_sigpause, (int sig), (sig))
/* <signal.h> gives this name to the call above. */
EXPORT int bsd_sigpause(int mask)
{
    return __sigpause(mask, 0);
}
/* What came with the signal is the program's now; where it does not want to know, nobody is told what that was. */
static void wait_took(int sig, const siginfo_t *info)
{
    if (sig > 0 && info != NULL)
        parked_delivered(info);
}

BLOCK_TS_THEN(sigtimedwait, (const sigset_t *set, siginfo_t *info, const struct timespec *timeout),
              (set, info, timeout), wait_took(block_result, info))
BLOCK_BEGIN(int, sigwaitinfo, (const sigset_t *set, siginfo_t *info), block_missing())
    block_enter(&frame, block_is_foreign);
    do {
        block_result = block_real(set, info);
    } while (UNLIKELY(BLOCK_IS_EINTR) && block_is_only_ours(&frame));
BLOCK_END_THEN(wait_took(block_result, info))
BLOCK_ERROR(sigwait, (const sigset_t *set, int *sig), (set, sig))

BLOCK_CALL(int, sem_wait, (sem_t * sem), (sem))
BLOCK_CALL(int, sem_timedwait, (sem_t * sem, const struct timespec *until), (sem, until))
BLOCK_CALL(int, sem_clockwait, (sem_t * sem, clockid_t clock, const struct timespec *until),
           (sem, clock, until))
/* Beside their system call they touch the condition and the mutex, which hold no pointers to blocks. */
BLOCK_ERROR(pthread_cond_wait, (pthread_cond_t * cond, pthread_mutex_t *mutex), (cond, mutex))
BLOCK_ERROR(pthread_cond_timedwait, (pthread_cond_t * cond, pthread_mutex_t *mutex, const struct timespec *until),
            (cond, mutex, until))
BLOCK_ERROR(pthread_cond_clockwait,
            (pthread_cond_t * cond, pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until),
            (cond, mutex, clock, until))

BLOCK(int, cnd_wait, (cnd_t * cond, mtx_t *mutex), (cond, mutex), thrd_error, false)
BLOCK(int, cnd_timedwait, (cnd_t * cond, mtx_t *mutex, const struct timespec *until),
           (cond, mutex, until), thrd_error, false)
BLOCK_TS(aio_suspend, (const struct aiocb *const list[], int n, const struct timespec *timeout),
           (list, n, timeout))

BLOCK_CALL(ssize_t, msgrcv, (int id, void *msg, size_t n, long type, int flags), (id, msg, n, type, flags))
BLOCK_CALL(int, msgsnd, (int id, const void *msg, size_t n, int flags), (id, msg, n, flags))
BLOCK_CALL(int, semop, (int id, struct sembuf *ops, size_t n), (id, ops, n))
BLOCK_TS(semtimedop, (int id, struct sembuf *ops, size_t n, const struct timespec *timeout),
           (id, ops, n, timeout))

BLOCK_CALL(pid_t, wait, (int *status), (status))
BLOCK_CALL(pid_t, wait3, (int *status, int options, struct rusage *usage), (status, options, usage))
BLOCK_CALL(pid_t, wait4, (pid_t pid, int *status, int options, struct rusage *usage),
           (pid, status, options, usage))
BLOCK_CALL(pid_t, waitpid, (pid_t pid, int *status, int options), (pid, status, options))
BLOCK_CALL(int, waitid, (idtype_t type, id_t id, siginfo_t *info, int options), (type, id, info, options))

/* By the number of the system call, which is the only way to it: threads of Rust programs, and others that do without
 * pthreads, wait so. FUTEX_WAIT has a relative time, FUTEX_WAIT_BITSET an absolute one; with either the kernel never
 * restarts it. The other operations do not wait, or restart. */
long interpose_futex(long nr, long word, long operation, long value, const struct timespec *timeout, long word2,
                     long value3)
{
    const long command = operation & FUTEX_CMD_MASK;
    if (command != FUTEX_WAIT && command != FUTEX_WAIT_BITSET)
        return REAL(syscall)(nr, word, operation, value, timeout, word2, value3);

    BLOCK_PERSONALITY;
    struct block_frame frame;
    const bool is_relative = command == FUTEX_WAIT && timeout != NULL;
    const struct timespec *const wanted = timeout;
    struct timespec left;
    const uint64_t begin_ns = is_relative ? os_clock_ns() : 0;
    long block_result;
    block_enter(&frame, real_is_foreign[REAL_syscall]);
    for (;;) {
        block_result = REAL(syscall)(nr, word, operation, value, timeout, word2, value3);
        if (LIKELY(!BLOCK_IS_EINTR) || !block_is_only_ours(&frame))
            break;
        timeout = is_relative ? block_left_ts(begin_ns, wanted, &left) : wanted;
    }
    os_gate_leave(&frame.gate);
    return block_result;
}
