/* What the tests share that prove: calls that the kernel never restarts after a handler must not return EINTR, nor
 * early, because of a collection, or because somebody outside asks the process something; but for a signal of the
 * program's own they must.
 *
 * usage: PROGRAM CASE [asked]   while another thread collects all the time; asked: while requests interrupt the call
 */
#ifndef TRAPS_EINTR_H
#define TRAPS_EINTR_H

#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include "trap.h"

enum { WAIT_MS = 300, N_ROUNDS = 3 };

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline struct timespec from_now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    t.tv_nsec += WAIT_MS * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

static const struct timespec wait_time = {.tv_nsec = WAIT_MS * 1000000L};
static int fds[2];
static int nobody[2]; /* nothing is ever written to it */

/* The call ends by a timeout that is an error of its own: `expected` is returned as success. */
static inline int timed_out(int result, int error, int expected)
{
    if (result == -1 && error == expected)
        return 0;
    errno = error;
    return -1;
}

static inline int expect(ssize_t result, ssize_t wanted)
{
    return result == wanted ? 0 : -1;
}

static void (*release)(void);

static inline void *releaser(void *arg)
{
    struct timespec t = wait_time;
    while (nanosleep(&t, &t) != 0)
        continue;
    release();
    return arg;
}

/* The call that `how` ends by what it does after the time: begins before, and ends when that is done. */
static inline int released_by(void (*how)(void), int (*call)(void))
{
    pthread_t thread;
    release = how;
    TEST_CHECK(pthread_create(&thread, NULL, releaser, NULL) == 0);
    int result = call(), error = errno;
    TEST_CHECK(pthread_join(thread, NULL) == 0);
    errno = error;
    return result;
}

struct eintr_case {
    const char *name;
    int (*call)(void); /* 0: it ended as it should */
};

/* What gcrun sends, but with a request that means nothing: the thread is interrupted and nothing is answered. */
enum { STOP_SIGNAL = 33, REQUEST_MAGIC = 0x67634d61, ASK_EVERY_MS = 7, ASK_MS = WAIT_MS / 2 };
static _Atomic uint64_t ask_until_ns;
static _Atomic bool ask_is_over;
static pid_t ask_tid;

static void *asker(void *arg)
{
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    info.si_signo = STOP_SIGNAL;
    info.si_code = SI_QUEUE;
    info.si_errno = REQUEST_MAGIC;
    info.si_pid = getpid();
    while (!ask_is_over) {
        if (now_ns() < ask_until_ns)
            TEST_CHECK(syscall(SYS_rt_tgsigqueueinfo, getpid(), ask_tid, STOP_SIGNAL, &info) == 0 || errno == EAGAIN);
        usleep(ASK_EVERY_MS * 1000);
    }
    return arg;
}

static pthread_t disturber_start(bool is_asked)
{
    pthread_t thread;
    ask_tid = gettid();
    if (!is_asked)
        return trap_collector_start();
    TEST_CHECK(pthread_create(&thread, NULL, asker, NULL) == 0);
    return thread;
}

static void disturber_end(pthread_t thread, bool is_asked)
{
    if (!is_asked) {
        trap_collector_end(thread);
        return;
    }
    ask_is_over = true;
    pthread_join(thread, NULL);
}

static void run(const struct eintr_case *c)
{
    for (int round = 0; round < N_ROUNDS; round++) {
        uint64_t begin = now_ns();
        ask_until_ns = begin + ASK_MS * 1000000ull;
        errno = 0;
        int result = c->call(), error = errno;
        uint64_t took_ms = (now_ns() - begin) / 1000000;
        if (result != 0)
            TEST_FAIL("%s returned %d, %s", c->name, result, strerror(error));
        if (took_ms < WAIT_MS - 1) /* clocks of the kernel's timers may be a tick apart */
            TEST_FAIL("%s returned after %llu ms of %d", c->name, (unsigned long long)took_ms, WAIT_MS);
    }
}

static inline int eintr_main(const struct eintr_case *cases, size_t n, int argc, char **argv)
{
    bool is_asked = argc == 3 && strcmp(argv[2], "asked") == 0;
    TEST_CHECK((argc == 2 || is_asked) && pipe(nobody) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    sigset_t own; /* for the main thread alone: the disturber would take it */
    sigemptyset(&own);
    sigaddset(&own, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &own, NULL);
    pthread_t disturber = disturber_start(is_asked);
    pthread_sigmask(SIG_UNBLOCK, &own, NULL);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(argv[1], cases[i].name) == 0) {
            run(&cases[i]);
            disturber_end(disturber, is_asked);
            return 0;
        }
    }
    TEST_FAIL("no such case: %s", argv[1]);
}

#define EINTR_MAIN(cases)                                                                                                \
    int main(int argc, char **argv)                                                                                    \
    {                                                                                                                  \
        return eintr_main(cases, sizeof(cases) / sizeof((cases)[0]), argc, argv);                                      \
    }

#endif
