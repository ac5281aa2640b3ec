/* Which process this is.
 *
 * What    The owner's pid, whether a caller is a child that shares our memory,
 *         an inherited seccomp filter.
 * Owns    the owner pid.
 * Invariants  os_process_init may be called again and again: the first slow path
 *         calls it before libc is up, the constructor once more.
 * Not here  what a fork child rebuilds: each storey's own *_fork_child.
 */
#include "os/process.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "base/compiler.h"
#include "os/os.h"
#include "os/probe.h"

static struct {
    pid_t owner_pid; /* 0: not initialised. Written while the process has one thread */
} process_state;

long os_file_read(const char *path, char *buf, size_t buf_size)
{
    int fd = os_probe_open(path);
    size_t len = 0;
    long n = 0;

    if (fd < 0)
        return fd;
    while (len < buf_size - 1) {
        n = os_syscall(SYS_read, fd, (long)(buf + len), (long)(buf_size - 1 - len), 0, 0, 0);
        if (n == -EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    os_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
    buf[len] = '\0';
    return n < 0 ? n : (long)len;
}

/* A filter may kill for prctl, but not for what ld.so itself just did: open and read a file. So prctl is
 * asked only where /proc is not mounted. There is one thread yet, and of a process the kernel has to make up half as many
 * entries of /proc as of its thread. */
static bool process_has_filter(void)
{
    char text[4096];
    const char *line;

    if (os_file_read("/proc/self/status", text, sizeof(text)) <= 0)
        return os_syscall(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0, 0) > 0;
    line = strstr(text, "\nSeccomp:\t");
    return line != NULL && line[10] != '0';
}

void os_process_init(void)
{
    if (process_state.owner_pid != 0)
        return;
    if (process_has_filter())
        os_seccomp_note();
    process_state.owner_pid = os_getpid();
    os_vm_canary_create();
    if (!os_seccomp_is_on())
        os_stop_record_tls();
}

void os_process_seen(void)
{
    os_vm_canary_create();
    os_stop_record_tls();
    os_tls.tid = os_gettid();
    if (os_tls.thread != NULL)
        os_tls.thread->tid = os_tls.tid;
}

void os_process_fork_child(void)
{
    if (!os_seccomp_is_on())
        process_state.owner_pid = os_getpid();
    os_vm_canary_rearm();
}

bool os_is_raw_fork_child(void)
{
    volatile uint32_t *canary = os_vm_fork_canary();

    return canary != NULL && *canary == 0;
}

/* A fork child that no handler has prepared yet has another pid too, but its canary page was wiped. Behind a
 * filter nothing is asked: no cycle runs there, which is all that the answer is for. */
bool os_is_vfork_child(void)
{
    volatile uint32_t *canary = os_vm_fork_canary();

    if (process_state.owner_pid == 0 || os_seccomp_is_on() || os_getpid() == process_state.owner_pid)
        return false;
    return canary == NULL || *canary != 0;
}

/* One that is gone, or has ended and was not waited for, has no memory; a main thread that has ended has none either, so the caller is
 * what it is compared with. */
bool os_has_our_memory(pid_t pid)
{
    const int kcmp_vm = 1;
    long result = os_syscall(SYS_kcmp, os_gettid(), pid, kcmp_vm, 0, 0, 0);

    if (result < 0) /* not in this kernel, or not allowed */
        return os_syscall(SYS_kill, pid, 0, 0, 0, 0, 0) != -ESRCH;
    return result == 0;
}
