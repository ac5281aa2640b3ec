/* A copy of the process that looks at its own memory and writes a file.
 *
 * What    clone without an exit signal: wait, waitpid(-1) and SIGCHLD of the program never see the copy; only __WCLONE
 *         does. The little that the copy needs beside memory: names of files, descriptors.
 * Not here  what it writes: the storey above.
 */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

long os_clone_process(void)
{
    return os_syscall(SYS_clone, 0, 0, 0, 0, 0, 0);
}

/* Where the parent is gone already, no signal comes any more. */
void os_clone_follow(pid_t parent)
{
    os_syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0, 0);
    if (os_clone_parent() != parent)
        os_exit_group(0);
}

void os_clone_kill(pid_t pid)
{
    os_syscall(SYS_kill, pid, SIGKILL, 0, 0, 0, 0);
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

bool os_close_all_but(int fd)
{
    if (fd > 0)
        os_syscall(SYS_close_range, 0, fd - 1, 0, 0, 0, 0);
    return os_syscall(SYS_close_range, fd + 1, UINT32_MAX, 0, 0, 0, 0) == 0;
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
