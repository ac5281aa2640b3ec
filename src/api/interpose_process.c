/* Calls that make a process, load a library, or give up system calls.
 *
 * What    posix_spawn and vfork: between the parent and the exec of the child both run in one memory, so no
 *         cycle starts until it is over; nor while a process that clone made runs in this one's memory. dlopen
 *         without RTLD_DEEPBIND: a library bound to libc's free before ours would hand our blocks to it. prctl and
 *         syscall: once the kernel filters system calls, the storey below uses fewer. unshare and setns, before
 *         which helper threads end. makecontext, whose stack may be a part of the thread's own.
 * Not here  vfork, dlopen and makecontext themselves, which need their caller's frame and return address, and
 *         clone, which may be another function altogether:
 *         interpose_process_*.S. system, popen and wordexp wait long after their child has its own memory;
 *         their short vfork is left to the collector, which skips a cycle in which a thread cannot be
 *         stopped.
 */
#include "api/interpose.h"

#include <errno.h>
#include <dlfcn.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <spawn.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "api/alloc.h"
#include "api/real.h"
#include "gc/finalizer.h"
#include "gc/mark_team.h"
#include "os/os.h"
#include "os/walk.h"

EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
    int error;

    cycle_vfork_begin();
    error = REAL(posix_spawn)(pid, path, actions, attr, argv, envp);
    cycle_vfork_end();
    api_exit_slow();
    return error;
}

EXPORT int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
    int error;

    cycle_vfork_begin();
    error = REAL(posix_spawnp)(pid, file, actions, attr, argv, envp);
    cycle_vfork_end();
    api_exit_slow();
    return error;
}

/* The child shares this thread's record, and may have ended inside a wrapped call: its publication is not
 * ours. */
int interpose_vfork_end(long result)
{
    os_gate_suspend();
    cycle_vfork_end();
    api_exit_slow();
    if (result >= 0)
        return (int)result;
    errno = (int)-result;
    return -1;
}

void interpose_vfork_begin(void)
{
    cycle_vfork_begin();
}

/* A process without memory of its own that is no thread runs on while threads are stopped. */
int interpose_clone(int (*fn)(void *), void *stack, int flags, void *arg, ...)
{
    bool shares = (flags & (CLONE_VM | CLONE_THREAD)) == CLONE_VM;
    pid_t *parent_tid, *child_tid;
    void *tls;
    va_list ap;
    int pid;

    va_start(ap, arg);
    parent_tid = va_arg(ap, pid_t *);
    tls = va_arg(ap, void *);
    child_tid = va_arg(ap, pid_t *);
    va_end(ap);
    if (shares)
        cycle_vfork_begin();
    pid = REAL(clone)(fn, stack, flags, arg, parent_tid, tls, child_tid);
    if (shares && pid > 0 && (flags & CLONE_VFORK) == 0)
        cycle_vfork_lasts(pid);
    else if (shares)
        cycle_vfork_end();
    return pid;
}

void *interpose_dlopen_target(void)
{
    os_walk_forget();
    return (void *)REAL(dlopen);
}

void *interpose_makecontext_target(const ucontext_t *context)
{
    os_thread_note_inner_stack((uintptr_t)context->uc_stack.ss_sp, context->uc_stack.ss_size);
    return (void *)REAL(makecontext);
}

void *interpose_syscall_target(void)
{
    return (void *)REAL(syscall);
}

/* The kernel refuses a user namespace, and most changes by setns, to a process of several threads: ours must not be
 * why. And finalizers are the program's code, which expects to see what the program sees. Ours come back when they are
 * wanted, and are then where the thread is that wanted them. */
static void interpose_end_helpers(void)
{
    mark_team_end();
    finalizer_thread_end();
}

EXPORT int unshare(int flags)
{
    if ((flags & ~(CLONE_FS | CLONE_FILES | CLONE_SYSVSEM)) != 0)
        interpose_end_helpers();
    return REAL(unshare)(flags);
}

EXPORT int setns(int fd, int type)
{
    interpose_end_helpers();
    return REAL(setns)(fd, type);
}

/* Both ways in which a filter is set leave this process for good with fewer system calls. */
long interpose_seccomp(long nr, unsigned operation, unsigned flags, void *args)
{
    long result = REAL(syscall)(nr, operation, flags, args);

    if (result >= 0 && (operation == SECCOMP_SET_MODE_STRICT || operation == SECCOMP_SET_MODE_FILTER))
        os_seccomp_note();
    return result;
}

EXPORT int prctl(int option, ...)
{
    unsigned long args[4];
    va_list ap;
    int result;

    va_start(ap, option);
    for (int i = 0; i < 4; i++)
        args[i] = va_arg(ap, unsigned long);
    va_end(ap);
    result = REAL(prctl)(option, args[0], args[1], args[2], args[3]);
    if (option == PR_SET_SECCOMP && result == 0)
        os_seccomp_note();
    return result;
}
