/* The value of a queued signal is in the kernel alone until the signal is delivered: to the process, to a thread, by the
 * system call itself; taken by sigwaitinfo, by sigtimedwait, by a handler, by a descriptor. Then it is the program's to hold. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include "trap.h"
#define N_WAYS 4
#define N_DROPPED 200
#define NO_SIGNAL 1000
static uintptr_t hidden[N_WAYS];
static void *volatile received;
static uintptr_t dropped[N_DROPPED];

static __attribute__((noinline)) int queue_one(int signo, uintptr_t which)
{
    union sigval value = {.sival_ptr = trap_reveal(which)};
    return sigqueue(getpid(), signo, value);
}

static __attribute__((noinline)) void queue_all(void)
{
    union sigval value;
    siginfo_t info;
    TEST_CHECK(queue_one(SIGRTMIN, hidden[0]) == 0);
    value.sival_ptr = trap_reveal(hidden[1]);
    TEST_CHECK(pthread_sigqueue(pthread_self(), SIGRTMIN + 1, value) == 0);
    memset(&info, 0, sizeof(info));
    info.si_code = SI_QUEUE;
    info.si_pid = getpid();
    info.si_value.sival_ptr = trap_reveal(hidden[2]);
    TEST_CHECK(syscall(SYS_rt_sigqueueinfo, getpid(), SIGRTMIN + 2, &info) == 0);
    info.si_value.sival_ptr = trap_reveal(hidden[3]);
    TEST_CHECK(syscall(SYS_rt_tgsigqueueinfo, getpid(), (pid_t)syscall(SYS_gettid), SIGRTMIN + 3, &info) == 0);
    errno = 0; /* a bad address is the kernel's to refuse */
    TEST_CHECK(syscall(SYS_rt_sigqueueinfo, getpid(), SIGRTMIN + 2, (siginfo_t *)8) == -1 && errno == EFAULT);
}

static void handler(int signo, siginfo_t *info, void *context)
{
    (void)signo, (void)context;
    received = info->si_value.sival_ptr;
}

static __attribute__((noinline)) void take_all(void)
{
    siginfo_t info;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    TEST_CHECK(sigwaitinfo(&set, &info) == SIGRTMIN && ~(uintptr_t)info.si_value.sival_ptr == hidden[0]);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 1);
    struct timespec wait = {30, 0};
    TEST_CHECK(sigtimedwait(&set, &info, &wait) == SIGRTMIN + 1 && ~(uintptr_t)info.si_value.sival_ptr == hidden[1]);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 2);
    TEST_CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0 && ~(uintptr_t)received == hidden[2]);
    received = NULL;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 3);
    struct signalfd_siginfo read_info;
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    TEST_CHECK(read(fd, &read_info, sizeof(read_info)) == sizeof(read_info) && ~(uintptr_t)read_info.ssi_ptr == hidden[3]);
    close(fd);
    memset(&info, 0, sizeof(info));
    memset(&read_info, 0, sizeof(read_info));
    __asm__ volatile("" : : "r"(&info), "r"(&read_info) : "memory");
}

static __attribute__((noinline)) void wait_and_forget(uintptr_t which)
{
    struct timespec wait = {30, 0};
    siginfo_t info;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    TEST_CHECK(sigtimedwait(&set, &info, &wait) == SIGRTMIN && ~(uintptr_t)info.si_value.sival_ptr == which);
    memset(&info, 0, sizeof(info));
    __asm__ volatile("" : : "r"(&info) : "memory");
}

/* What a handler or a wait was told and forgot is garbage again, and so is what no signal was queued with after all. */
static __attribute__((noinline)) void drop(int i)
{
    uintptr_t which = ~(uintptr_t)malloc(TRAP_SIZE);
    union sigval value;
    dropped[i] = which;
    switch (i % 4) {
    case 0:
        TEST_CHECK(queue_one(SIGRTMIN + 2, which) == 0 && ~(uintptr_t)received == which);
        received = NULL;
        break;
    case 1:
        TEST_CHECK(queue_one(SIGRTMIN, which) == 0);
        wait_and_forget(which);
        break;
    case 2:
        TEST_CHECK(queue_one(NO_SIGNAL, which) != 0);
        break;
    default:
        value.sival_ptr = trap_reveal(which);
        TEST_CHECK(pthread_sigqueue(pthread_self(), NO_SIGNAL, value) != 0);
    }
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    TEST_CHECK(sigaction(SIGRTMIN + 2, &action, NULL) == 0);
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < N_WAYS; i++) {
        sigaddset(&set, SIGRTMIN + i);
        hidden[i] = trap_new();
    }
    TEST_CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    queue_all();
    trap_clear_stack();
    for (int i = 0; i < 3; i++)
        trap_verify();
    take_all();
    for (int i = 0; i < N_WAYS; i++)
        trap_forget(hidden[i]);
    for (int i = 0; i < N_DROPPED; i++)
        drop(i);
    trap_clear_stack();
    trap_verify();
    if (trap_is_peer() || trap_is_emulated())
        return 0;
    int n = 0;
    for (int i = 0; i < N_DROPPED; i++)
        n += trap_find(trap_reveal(dropped[i])) == NULL;
    if (n < N_DROPPED * 9 / 10)
        TEST_FAIL("only %d of %d values came back after their delivery", n, N_DROPPED);
    return 0;
}
