/* A copy of the process that looks at its own memory and writes a file.
 *
 * What    clone without an exit signal: wait, waitpid(-1) and SIGCHLD of the program never see the copy; only __WCLONE
 *         does. The little that the copy needs beside memory: names of files, descriptors.
 * Not here  what it writes: the storey above.
 */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum {
    CLONE_LINK_BYTES = 64,
    CLONE_EXIT_FAILED = 1,
    CLONE_CPU_CLOCK = 2, /* CPUCLOCK_SCHED of the kernel: what all of its threads have used */
    CLONE_CLOSE_UNSHARED = 2, /* CLOSE_RANGE_UNSHARE, which older headers lack */
};

/* Name of a namespace of the calling thread, its NUL included. 0: there is none. */
static long clone_namespace(const char *path, char name[CLONE_LINK_BYTES])
{
    long n = os_syscall(SYS_readlinkat, AT_FDCWD, (long)path, (long)name, CLONE_LINK_BYTES - 1, 0, 0);

    name[n > 0 ? n : 0] = '\0';
    return n > 0 ? n + 1 : 0;
}

/* After unshare(CLONE_NEWPID) the next child is the first process of a namespace, which ends with it. */
static bool clone_stays_in_namespace(void)
{
    char own[CLONE_LINK_BYTES], of_children[CLONE_LINK_BYTES];
    long n = clone_namespace("/proc/thread-self/ns/pid", own);

    return n != 0 && clone_namespace("/proc/thread-self/ns/pid_for_children", of_children) == n && memcmp(own, of_children, (size_t)n) == 0;
}

/* Descriptors that are shared until they are closed are never held: the kernel leaves out of the copy what is to be closed. */
static void clone_close_all(void)
{
    if (os_syscall(SYS_close_range, 0, UINT32_MAX, CLONE_CLOSE_UNSHARED, 0, 0, 0) != 0)
        os_exit_group(CLONE_EXIT_FAILED);
}

long os_clone_process(bool keeps_descriptors)
{
    long pid = clone_stays_in_namespace() ? os_syscall(SYS_clone, keeps_descriptors ? 0 : CLONE_FILES, 0, 0, 0, 0, 0) : -EPERM;

    if (pid == 0 && !keeps_descriptors)
        clone_close_all();
    return pid;
}

/* Where the parent is gone already, no signal comes any more. */
void os_clone_follow(pid_t parent)
{
    os_syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
    if (os_clone_parent() != parent)
        os_exit_group(0);
}

/* Where somebody else has reaped it, its number may be another process's. */
void os_clone_end(pid_t pid)
{
    bool is_success;

    if (os_clone_wait(pid, false, &is_success) != -EAGAIN)
        return;
    os_syscall(SYS_kill, pid, SIGKILL, 0, 0, 0, 0);
    os_clone_wait(pid, true, &is_success);
}

/* The kernel's number of a process's clock. */
uint64_t os_clone_cpu_ns(pid_t pid)
{
    struct timespec ts = {0, 0};

    os_syscall(SYS_clock_gettime, (long)(int)(~(unsigned)pid << 3 | CLONE_CPU_CLOCK), (long)&ts, 0, 0, 0, 0);
    return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

pid_t os_clone_parent(void)
{
    return (pid_t)os_syscall(SYS_getppid, 0, 0, 0, 0, 0, 0);
}

int os_clone_wait(pid_t pid, bool is_awaited, bool *is_success)
{
    int status = 0;
    long got;

    do
        got = os_syscall(SYS_wait4, pid, (long)&status, __WCLONE | (is_awaited ? 0 : WNOHANG), 0, 0, 0);
    while (got == -EINTR);
    if (got == 0)
        return -EAGAIN;
    *is_success = got == pid && status == 0;
    return got > 0 ? 0 : (int)got;
}

void os_close_all_but(int fd)
{
    if (fd > 0)
        os_syscall(SYS_close_range, 0, fd - 1, 0, 0, 0, 0);
    os_syscall(SYS_close_range, fd + 1, UINT32_MAX, 0, 0, 0, 0);
}

int os_file_rename(const char *from, const char *to)
{
    return (int)os_syscall(SYS_renameat2, AT_FDCWD, (long)from, AT_FDCWD, (long)to, 0, 0);
}

bool os_file_may_be_replaced(const char *path)
{
    struct stat st;
    long error = os_syscall(SYS_newfstatat, AT_FDCWD, (long)path, (long)&st, AT_SYMLINK_NOFOLLOW, 0, 0);

    return error != 0 || S_ISREG(st.st_mode);
}

void os_file_remove(const char *path)
{
    os_syscall(SYS_unlinkat, AT_FDCWD, (long)path, 0, 0, 0, 0);
}

int os_write_at(int fd, const void *buf, size_t len, uint64_t offset)
{
    long n = os_syscall(SYS_pwrite64, fd, (long)buf, (long)len, (long)offset, 0, 0);

    return n == (long)len ? 0 : n < 0 ? (int)n : -EIO;
}
