/* Structures of the kernel's interface that libc hides or older headers lack. Not part of the contract. */
#ifndef OS_KERNEL_H
#define OS_KERNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "base/compiler.h"
#include "os/os.h"

/* libc's sigaction refuses signals 32 and 33 and puts a restorer of its own: we speak to the kernel. */
struct kernel_sigaction {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};
#define KERNEL_SA_RESTORER 0x04000000ul
#define KERNEL_SIGSET_BYTES 8

ALWAYS_INLINE bool kernel_is_error(long result)
{
    return (unsigned long)result > -4096ul;
}

ALWAYS_INLINE int kernel_sigaction(int sig, const struct kernel_sigaction *action,
                                   struct kernel_sigaction *old)
{
    return (int)os_syscall(SYS_rt_sigaction, sig, (long)action, (long)old, KERNEL_SIGSET_BYTES, 0, 0);
}

ALWAYS_INLINE int kernel_sigprocmask(int how, const uint64_t *set, uint64_t *old)
{
    return (int)os_syscall(SYS_rt_sigprocmask, how, (long)set, (long)old, KERNEL_SIGSET_BYTES, 0, 0);
}

/* Complete an action of ours: x86-64 needs a way back from the handler, aarch64 has it in the vDSO. */
#if defined(__x86_64__)
extern void *const os_sigreturn __attribute__((visibility("hidden"))); /* stack_x86_64.S: where to return */
#define KERNEL_ACTION(fn, fl, m)                                                                             \
    {                                                                                                        \
        (void *)(fn), (fl) | KERNEL_SA_RESTORER, os_sigreturn, (m)                                           \
    }
#else
#define KERNEL_ACTION(fn, fl, m)                                                                             \
    {                                                                                                        \
        (void *)(fn), (fl), (void *)0, (m)                                                                   \
    }
#endif

#endif
