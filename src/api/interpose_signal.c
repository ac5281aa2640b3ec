/* sigaction and its elders: the program's handlers run behind a trampoline.
 *
 * What    The kernel gets the trampoline; the table remembers what the program asked for, and is what it is told when it
 *         asks again. The trampoline keeps the handler out of the allocator (signal_defer.c) and takes the thread out of
 *         the published state of a wrapped call for the handler's duration, then calls it with the very arguments of
 *         the kernel. Leaving by siglongjmp is fine: the thread is then simply running.
 * Owns    signal_state.
 * Invariants  an entry is written before the kernel can deliver by it, and stays when the program goes back to SIG_DFL
 *         or SIG_IGN, for deliveries under way. Flags that the trampoline needs otherwise (SA_SIGINFO, SA_RESETHAND) are
 *         the only ones that differ between the table and the kernel.
 *         A vfork child shares our memory but not our actions: it gets libc's own functions and leaves the table alone.
 * Locks   LOG rank (a leaf), signals held back by the critical section.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include "api/alloc.h"
#include "api/interpose.h"
#include "api/real.h"
#include "api/signal_defer.h"
#include "os/critical_inl.h"
#include "os/os.h"

enum {
    SIGNAL_N = 65,
    SIGNAL_OWN_FLAGS = SA_SIGINFO | SA_RESETHAND, /* the kernel's copy of these is ours */
    SIGNAL_STOP = 33,
};

typedef void (*signal_fn)(int sig, siginfo_t *info, void *ucontext);

static struct {
    struct {
        signal_fn handler; /* atomic */
        int flags;         /* atomic; as the program gave them */
    } entries[SIGNAL_N];
    uint8_t is_interrupting[SIGNAL_N]; /* siginterrupt */
    struct os_lock lock;
} signal_state = {.lock = OS_LOCK_INIT(OS_RANK_LOG)};

/* SA_RESETHAND by hand, because a deferred delivery must not use it up. */
static void signal_reset(int sig)
{
    static const struct sigaction action = {.sa_handler = SIG_DFL};

    REAL_KNOWN(sigaction)(sig, &action, NULL);
}

static void signal_trampoline(int sig, siginfo_t *info, void *ucontext)
{
    if (UNLIKELY(signal_defer(sig, info, ucontext)))
        return;
    bool was_published = os_gate_suspend();
    signal_fn handler = __atomic_load_n(&signal_state.entries[sig].handler, __ATOMIC_ACQUIRE);
    if (UNLIKELY(__atomic_load_n(&signal_state.entries[sig].flags, __ATOMIC_RELAXED) & SA_RESETHAND))
        signal_reset(sig);
    handler(sig, info, ucontext);
    os_gate_resume(was_published);
}

static bool signal_is_handler(const struct sigaction *action)
{
    return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
}

/* What the kernel shall have for what the program wants. No mask may hold back the stop. */
static struct sigaction signal_for_kernel(const struct sigaction *wanted)
{
    struct sigaction action = *wanted;
    uint64_t mask;

    memcpy(&mask, &action.sa_mask, sizeof(mask));
    mask &= ~(UINT64_C(1) << (SIGNAL_STOP - 1));
    memcpy(&action.sa_mask, &mask, sizeof(mask));
    if (signal_is_handler(wanted)) {
        action.sa_sigaction = signal_trampoline;
        action.sa_flags = (wanted->sa_flags & ~SIGNAL_OWN_FLAGS) | SA_SIGINFO;
    }
    return action;
}

/* What the program shall be told for what the kernel has. */
static void signal_for_program(int sig, struct sigaction *action)
{
    if (action->sa_sigaction != signal_trampoline)
        return;
    int flags = signal_state.entries[sig].flags;
    action->sa_sigaction = signal_state.entries[sig].handler;
    action->sa_flags = (action->sa_flags & ~SIGNAL_OWN_FLAGS) | (flags & SIGNAL_OWN_FLAGS);
}

static int signal_change_locked(int sig, const struct sigaction *wanted, struct sigaction *before)
{
    struct sigaction action = signal_for_kernel(wanted);
    signal_fn old_handler = signal_state.entries[sig].handler;
    int old_flags = signal_state.entries[sig].flags;
    int result;

    os_lock_assert_held(&signal_state.lock);
    if (!signal_is_handler(wanted)) {
        result = REAL(sigaction)(sig, &action, before);
        if (result == 0)
            signal_for_program(sig, before);
        return result;
    }
    __atomic_store_n(&signal_state.entries[sig].flags, wanted->sa_flags, __ATOMIC_RELAXED);
    __atomic_store_n(&signal_state.entries[sig].handler, wanted->sa_sigaction, __ATOMIC_RELEASE);
    result = REAL(sigaction)(sig, &action, before);
    if (result == 0 && before->sa_sigaction == signal_trampoline) {
        before->sa_sigaction = old_handler;
        before->sa_flags = (before->sa_flags & ~SIGNAL_OWN_FLAGS) | (old_flags & SIGNAL_OWN_FLAGS);
    } else if (result != 0) {
        __atomic_store_n(&signal_state.entries[sig].handler, old_handler, __ATOMIC_RELEASE);
        __atomic_store_n(&signal_state.entries[sig].flags, old_flags, __ATOMIC_RELAXED);
    }
    return result;
}

static int signal_change(int sig, const struct sigaction *wanted, struct sigaction *before)
{
    int result;

    (void)REAL(sigaction); /* looked up before the lock is taken */
    os_critical_enter();
    os_lock(&signal_state.lock);
    result = signal_change_locked(sig, wanted, before);
    os_unlock(&signal_state.lock);
    os_critical_leave();
    api_exit_slow();
    return result;
}

/* Only a question, or a process that shares our memory: nothing is recorded. */
static int signal_pass(int sig, const struct sigaction *wanted, struct sigaction *before)
{
    int result = REAL(sigaction)(sig, wanted, before);

    if (result == 0 && before != NULL)
        signal_for_program(sig, before);
    return result;
}

EXPORT int sigaction(int sig, const struct sigaction *wanted, struct sigaction *before)
{
    struct sigaction copy, found = {0};
    int result;

    if (sig < 1 || sig >= SIGNAL_N)
        return REAL(sigaction)(sig, wanted, before);
    if (wanted == NULL || os_is_vfork_child())
        return signal_pass(sig, wanted, before);
    copy = *wanted; /* `before` may be the same object */
    result = signal_change(sig, &copy, &found);
    if (result == 0 && before != NULL)
        *before = found;
    return result;
}

EXPORT int __sigaction(int sig, const struct sigaction *wanted, struct sigaction *before);
EXPORT int __sigaction(int sig, const struct sigaction *wanted, struct sigaction *before)
{
    return sigaction(sig, wanted, before);
}

/* ---- the elders, each in terms of sigaction as its manual says ---- */
static sighandler_t signal_set(int sig, sighandler_t handler, int flags, bool blocks_itself)
{
    struct sigaction wanted = {.sa_handler = handler, .sa_flags = flags}, before;

    if (handler == SIG_ERR || sig < 1 || sig >= SIGNAL_N) {
        errno = EINVAL;
        return SIG_ERR;
    }
    if (blocks_itself)
        sigaddset(&wanted.sa_mask, sig);
    return sigaction(sig, &wanted, &before) == 0 ? before.sa_handler : SIG_ERR;
}

EXPORT sighandler_t signal(int sig, sighandler_t handler)
{
    bool is_interrupting = sig > 0 && sig < SIGNAL_N && signal_state.is_interrupting[sig];

    return signal_set(sig, handler, is_interrupting ? 0 : SA_RESTART, true);
}

EXPORT sighandler_t ssignal(int sig, sighandler_t handler)
{
    return signal(sig, handler);
}

EXPORT sighandler_t bsd_signal(int sig, sighandler_t handler);
EXPORT sighandler_t bsd_signal(int sig, sighandler_t handler)
{
    return signal(sig, handler);
}

EXPORT sighandler_t sysv_signal(int sig, sighandler_t handler)
{
    return signal_set(sig, handler, (int)(SA_RESETHAND | SA_NODEFER), false);
}

EXPORT sighandler_t __sysv_signal(int sig, sighandler_t handler)
{
    return sysv_signal(sig, handler);
}

EXPORT int sigignore(int sig)
{
    return signal_set(sig, SIG_IGN, 0, false) == SIG_ERR ? -1 : 0;
}

EXPORT sighandler_t sigset(int sig, sighandler_t disposition)
{
    struct sigaction before;
    sighandler_t old;
    sigset_t set, mask;

    sigemptyset(&set);
    if (disposition == SIG_ERR || sigaddset(&set, sig) != 0) {
        errno = EINVAL;
        return SIG_ERR;
    }
    if (disposition == SIG_HOLD) {
        if (sigprocmask(SIG_BLOCK, &set, &mask) != 0 || sigaction(sig, NULL, &before) != 0)
            return SIG_ERR;
        return sigismember(&mask, sig) ? SIG_HOLD : before.sa_handler;
    }
    old = signal_set(sig, disposition, 0, false);
    if (old == SIG_ERR || sigprocmask(SIG_UNBLOCK, &set, &mask) != 0)
        return SIG_ERR;
    return sigismember(&mask, sig) ? SIG_HOLD : old;
}

/* libc's own changes SA_RESTART of the installed action, which is the kernel's to keep; signal() must know as well. */
EXPORT int siginterrupt(int sig, int flag)
{
    int (*real_siginterrupt)(int, int) = (int (*)(int, int))real_get(REAL_siginterrupt);
    int result = real_siginterrupt(sig, flag);

    if (result == 0)
        signal_state.is_interrupting[sig] = flag != 0;
    return result;
}

void interpose_signal_fork_child(void)
{
    os_lock_reset(&signal_state.lock);
}
