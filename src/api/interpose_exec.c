/* exec in all its forms: no signal of ours ends the program that the process becomes.
 *
 * What    one that was sent and not yet taken would outlive the exec, and signal 33 ends a program that has no handler for
 *         it. So cycles are held off as for a fork; a successful exec never comes back, and needs to undo nothing. Requests
 *         from outside are kept away by a lock. Where that cannot be had (no /proc, no descriptor), this thread blocks the
 *         signal, and an exec keeps the mask. The library opens it where the new program has it (os_request_listen);
 *         elsewhere libc does, for itself, with the first thread. Until then nobody misses it.
 * Callers  signal handlers and children of vfork and of raw forks, too. The second share our memory and are no target of
 *         signals: they must leave no trace here. In the third whoever was collecting is not there, and nobody may wait. A handler that
 *         interrupted a slow path must not wait for the cycle that waits for it.
 * Not here  posix_spawn and its like, whose child of libc's own calls the kernel itself: interpose_process.c.
 */
#include <errno.h>
#include <stdarg.h>
#include <unistd.h>
#include "api/alloc.h"
#include "api/interpose.h"
#include "api/real.h"
#include "gc/twin.h"
#include "os/os.h"

struct exec_hold {
    uint64_t mask;
    int request_lock; /* negative: none */
    bool is_masked, holds_cycles;
};

static bool exec_may_wait(void)
{
    return os_tls.critical == 0 && api_tls.in_cycle == 0 && !os_is_vfork_child() && !os_is_raw_fork_child();
}

/* Behind a filter of system calls, and where malloc is not ours, nobody sends signals. */
static struct exec_hold exec_begin(void)
{
    struct exec_hold hold = {.request_lock = -1, .holds_cycles = exec_may_wait()};

    if (hold.holds_cycles) {
        cycle_fork_prepare(); /* first: a cycle that runs stops this thread by the signal */
        twin_end();
    }
    if (os_seccomp_is_on() || api_state.is_passthrough)
        return hold;
    hold.request_lock = os_request_hold_off();
    hold.is_masked = hold.request_lock < 0 && os_stop_signal_hold(&hold.mask);
    return hold;
}

static int exec_failed(const struct exec_hold *hold)
{
    int error = errno;

    if (hold->holds_cycles)
        cycle_fork_parent();
    os_request_let_in(hold->request_lock);
    if (hold->is_masked)
        os_signals_release(&hold->mask);
    errno = error;
    return -1;
}

/* Not every libc has it. */
int execveat(int dir, const char *path, char *const argv[], char *const envp[], int flags);

#define EXEC(name, params, args)                                                                             \
    EXPORT int name params                                                                                   \
    {                                                                                                        \
        __typeof__(&name) real_exec = REAL(name);                                                            \
        if (UNLIKELY(real_exec == NULL)) {                                                                   \
            errno = ENOSYS;                                                                                  \
            return -1;                                                                                       \
        }                                                                                                    \
        struct exec_hold hold = exec_begin();                                                                \
        real_exec args;                                                                                      \
        return exec_failed(&hold);                                                                           \
    }

EXEC(execve, (const char *path, char *const argv[], char *const envp[]), (path, argv, envp))
EXEC(execvp, (const char *file, char *const argv[]), (file, argv))
EXEC(execvpe, (const char *file, char *const argv[], char *const envp[]), (file, argv, envp))
EXEC(fexecve, (int fd, char *const argv[], char *const envp[]), (fd, argv, envp))
EXEC(execveat, (int dir, const char *path, char *const argv[], char *const envp[], int flags),
     (dir, path, argv, envp, flags))

/* By the number of the system call: syscall(SYS_execve, path, argv, envp), syscall(SYS_execveat, ...). */
long interpose_exec(long nr, long a, long b, long c, long d, long e)
{
    struct exec_hold hold = exec_begin();

    REAL(syscall)(nr, a, b, c, d, e);
    return exec_failed(&hold);
}

EXPORT int execv(const char *path, char *const argv[])
{
    return execve(path, argv, environ);
}

/* ---- the arguments as a list ---- */

static size_t exec_count(va_list *args)
{
    size_t n = 1;

    while (va_arg(*args, char *) != NULL)
        n++;
    return n;
}

/* argv has room for the first one, those of the list, and NULL. */
static void exec_collect(char **argv, const char *first, va_list *args)
{
    *argv++ = (char *)first;
    while ((*argv++ = va_arg(*args, char *)) != NULL)
        continue;
}

/* On the stack, as libc does: exec may be called where nothing may be allocated. */
#define EXEC_LIST(first, argv)                                                                               \
    va_list args;                                                                                            \
    va_start(args, first);                                                                                   \
    char **argv = __builtin_alloca((exec_count(&args) + 1) * sizeof(char *));                                \
    va_end(args);                                                                                            \
    va_start(args, first);                                                                                   \
    exec_collect(argv, first, &args)

EXPORT int execl(const char *path, const char *first, ...)
{
    EXEC_LIST(first, argv);
    va_end(args);
    return execve(path, argv, environ);
}

EXPORT int execlp(const char *file, const char *first, ...)
{
    EXEC_LIST(first, argv);
    va_end(args);
    return execvp(file, argv);
}

EXPORT int execle(const char *path, const char *first, ...)
{
    EXEC_LIST(first, argv);
    char **envp = va_arg(args, char **);
    va_end(args);
    return execve(path, argv, envp);
}
