/* Keeping the program's signal handlers out of the allocator.
 *
 * What    A handler may call malloc, whatever the standard says, and may leave by siglongjmp. Neither must
 *         find a bit half changed or a lock of ours held. So a signal that interrupts
 *           a slow path  is queued to its thread once more, with all signals that can wait blocked, and comes
 *                        in when the slow path is left (api_exit_slow);
 *           a fast path  the same, but its end has no such hook: its return address, which lies where the
 *                        caller put it, because a fast path has no frame, is exchanged for a thunk that lets
 *         the signal in. Faults cannot wait: their handlers run where they are, and what they allocate comes
 *         from emergency.c.
 * Invariants  while a signal waits, no other of the program's signals that can wait is open in this thread.
 *         So at most one of has_deferred and deferred_return is in use per thread.
 * Locks   none; async-signal-safe; errno untouched.
 */
#include "api/signal_defer.h"

#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include "api/alloc.h"
#include "os/os.h"

#define DEFER_BIT(sig) (UINT64_C(1) << ((sig)-1))
enum { DEFER_MASK_BYTES = sizeof(uint64_t) };

/* Signals that a thread brings upon itself, and 32 and 33, which belong to libc and to the stop. */
static const uint64_t defer_never = DEFER_BIT(SIGSEGV) | DEFER_BIT(SIGBUS) | DEFER_BIT(SIGFPE) |
                                    DEFER_BIT(SIGILL) | DEFER_BIT(SIGTRAP) | DEFER_BIT(SIGSYS) |
                                    DEFER_BIT(SIGABRT) | DEFER_BIT(32) | DEFER_BIT(33);

static uint64_t defer_get_mask(const ucontext_t *context)
{
    uint64_t mask;

    memcpy(&mask, &context->uc_sigmask, sizeof(mask));
    return mask;
}

static void defer_set_mask(ucontext_t *context, uint64_t mask)
{
    memcpy(&context->uc_sigmask, &mask, sizeof(mask));
}

/* A fault, or abort(), which would not wait for a handler that comes later. */
static bool defer_cannot_wait(int sig, const siginfo_t *info)
{
    if (sig == SIGABRT)
        return info->si_code <= 0 && info->si_pid == os_getpid();
    return (defer_never & DEFER_BIT(sig)) != 0 && info->si_code > 0;
}

/* Queue the very signal again, for when the mask that it was delivered under is back; the trampoline runs
 * with all signals blocked. */
static bool defer_queue(int sig, siginfo_t *info, ucontext_t *context)
{
    if (os_syscall(SYS_rt_tgsigqueueinfo, os_getpid(), os_gettid(), sig, (long)info, 0, 0) != 0)
        return false;
    api_tls.deferred_mask = defer_get_mask(context);
    defer_set_mask(context, api_tls.deferred_mask | ~defer_never | DEFER_BIT(sig));
    return true;
}

static bool defer_to_slow_exit(int sig, siginfo_t *info, ucontext_t *context)
{
    if (api_tls.has_deferred || !defer_queue(sig, info, context))
        return false;
    api_tls.has_deferred = true;
    return true;
}

static bool defer_to_return(int sig, siginfo_t *info, ucontext_t *context)
{
    uintptr_t *slot = signal_return_slot(context);

    if (api_tls.deferred_return != 0 || !defer_queue(sig, info, context))
        return false;
    api_tls.deferred_return = *slot;
    api_tls.deferred_slot = slot;
    *slot = (uintptr_t)signal_thunk;
    return true;
}

bool signal_defer(int sig, siginfo_t *info, void *ucontext)
{
    if (defer_cannot_wait(sig, info))
        return false;
    if (UNLIKELY(os_stop_is_fast_context(ucontext)))
        return defer_to_return(sig, info, ucontext);
    if (UNLIKELY(os_tls.critical != 0 || api_tls.in_cycle != 0))
        return defer_to_slow_exit(sig, info, ucontext);
    return false;
}

static void defer_release(void)
{
    uint64_t mask = api_tls.deferred_mask;

    os_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, 0, DEFER_MASK_BYTES, 0, 0);
}

void signal_release_deferred(void)
{
    api_tls.has_deferred = false;
    SIGNAL_FENCE();
    defer_release();
}

uintptr_t signal_thunk_return(void)
{
    return api_tls.deferred_return;
}

void signal_thunk_release(void)
{
    api_tls.deferred_return = 0;
    SIGNAL_FENCE();
    defer_release();
}

/* Where the return address lies in a register there is nothing to exchange any more: the thunk stays in the
 * way. */
void signal_unhook(void)
{
    if (api_tls.deferred_return == 0 || *api_tls.deferred_slot != (uintptr_t)signal_thunk)
        return;
    *api_tls.deferred_slot = api_tls.deferred_return;
    signal_thunk_release();
}
