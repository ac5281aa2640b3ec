/* sigaction and its elders: the program's handlers run behind a trampoline.
 *
 * What    The kernel gets the trampoline; the table remembers what the program asked for, and is what it is
 *         told when it asks again. The trampoline keeps the handler out of the allocator (signal_defer.c) and
 *         takes the thread out of the published state of a wrapped call for the handler's duration, then
 *         calls it with the very arguments of the kernel. Leaving by siglongjmp is fine: the thread is then
 *         simply running.
 * Owns    signal_state.
 * Invariants  The kernel enters the trampoline with everything blocked, the stop included: what it
 *         interrupted may be a fast path, half done, and neither a collection nor another handler may come
 *         before that is known. It opens the mask that the program asked for just before the handler.
 *         An entry is written before the kernel can deliver by it, and stays when the program goes back to
 *         SIG_DFL or SIG_IGN, for deliveries under way. A delivery while its action changes may see a mixture
 *         of both. A vfork child shares our memory but not our actions: it gets libc's own functions and
 *         leaves the table alone.
 * Locks   LOG rank (a leaf), signals held back by the critical section.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include "api/alloc.h"
#include "api/interpose.h"
#include "api/parked.h"
#include "api/real.h"
#include "api/signal_defer.h"
#include "os/critical_inl.h"
#include "os/os.h"

enum {
    SIGNAL_N = 65,
    SIGNAL_OWN_FLAGS = SA_SIGINFO | SA_RESETHAND | SA_NODEFER, /* the kernel's copy of these is ours */
    SIGNAL_STOP = 33,
};
#define SIGNAL_BIT(sig) (UINT64_C(1) << ((sig)-1))
/* Faults inside the trampoline must still be faults. */
#define SIGNAL_FAULTS                                                                                        \
    (SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGILL) | SIGNAL_BIT(SIGTRAP))

typedef void (*signal_fn)(int sig, siginfo_t *info, void *ucontext);

/* What the program asked for; each field is one word and read alone. */
struct signal_entry {
    signal_fn handler;
    int flags;
    uint64_t mask;
};
static struct {
    struct signal_entry entries[SIGNAL_N];
    uint8_t is_interrupting[SIGNAL_N]; /* siginterrupt */
    struct os_lock lock;
} signal_state = {.lock = OS_LOCK_INIT(OS_RANK_LOG)};

static uint64_t signal_get_mask(const sigset_t *set)
{
    uint64_t mask;

    memcpy(&mask, set, sizeof(mask));
    return mask;
}

static void signal_put_mask(sigset_t *set, uint64_t mask)
{
    memcpy(set, &mask, sizeof(mask));
}

/* SA_RESETHAND by hand, because a deferred delivery must not use it up. */
static void signal_reset(int sig)
{
    static const struct sigaction action = {.sa_handler = SIG_DFL};

    REAL_KNOWN(sigaction)(sig, &action, NULL);
}

/* The mask under which the kernel would have called the handler. */
static void signal_open_mask(int sig, const struct signal_entry *e, const ucontext_t *context)
{
    uint64_t mask = signal_get_mask(&context->uc_sigmask) | e->mask;

    if (!(e->flags & SA_NODEFER))
        mask |= SIGNAL_BIT(sig);
    os_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&mask, 0, sizeof(mask), 0, 0);
}

static struct signal_entry signal_read_entry(int sig)
{
    struct signal_entry e;

    e.handler = __atomic_load_n(&signal_state.entries[sig].handler, __ATOMIC_ACQUIRE);
    e.flags = __atomic_load_n(&signal_state.entries[sig].flags, __ATOMIC_RELAXED);
    e.mask = __atomic_load_n(&signal_state.entries[sig].mask, __ATOMIC_RELAXED);
    return e;
}

static void signal_write_entry(int sig, struct signal_entry e)
{
    __atomic_store_n(&signal_state.entries[sig].mask, e.mask, __ATOMIC_RELAXED);
    __atomic_store_n(&signal_state.entries[sig].flags, e.flags, __ATOMIC_RELAXED);
    __atomic_store_n(&signal_state.entries[sig].handler, e.handler, __ATOMIC_RELEASE);
}

static void signal_trampoline(int sig, siginfo_t *info, void *ucontext)
{
    if (UNLIKELY(signal_defer(sig, info, ucontext)))
        return;
    struct signal_entry e = signal_read_entry(sig);
    bool was_published = os_gate_suspend();
    parked_delivered(info); /* from here on a stop looks at this frame, where the value is now */
    api_tls.n_handled++;
    if (UNLIKELY(e.flags & SA_RESETHAND))
        signal_reset(sig);
    signal_open_mask(sig, &e, ucontext);
    e.handler(sig, info, ucontext);
    os_gate_resume(was_published);
}

static bool signal_is_handler(const struct sigaction *action)
{
    return action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
}

/* What the kernel shall have for what the program wants. */
static struct sigaction signal_for_kernel(const struct sigaction *wanted)
{
    struct sigaction action = *wanted;

    if (signal_is_handler(wanted)) {
        action.sa_sigaction = signal_trampoline;
        action.sa_flags = (wanted->sa_flags & ~SIGNAL_OWN_FLAGS) | SA_SIGINFO;
        signal_put_mask(&action.sa_mask, ~SIGNAL_FAULTS);
    }
    return action;
}

/* What the program shall be told for what the kernel has. */
static void signal_for_program(const struct signal_entry *e, struct sigaction *action)
{
    if (action->sa_sigaction != signal_trampoline)
        return;
    action->sa_sigaction = e->handler;
    action->sa_flags = (action->sa_flags & ~SIGNAL_OWN_FLAGS) | (e->flags & SIGNAL_OWN_FLAGS);
    signal_put_mask(&action->sa_mask, e->mask);
}

/* No mask of the program's may hold back the stop. */
static struct signal_entry signal_entry_of(const struct sigaction *wanted)
{
    return (struct signal_entry){
        .handler = wanted->sa_sigaction,
        .flags = wanted->sa_flags,
        .mask = signal_get_mask(&wanted->sa_mask) & ~SIGNAL_BIT(SIGNAL_STOP),
    };
}

static int signal_change_locked(int sig, const struct sigaction *wanted, struct sigaction *before)
{
    struct sigaction action = signal_for_kernel(wanted);
    struct signal_entry old = signal_state.entries[sig];
    int result;

    os_lock_assert_held(&signal_state.lock);
    if (signal_is_handler(wanted))
        signal_write_entry(sig, signal_entry_of(wanted));
    result = REAL_KNOWN(sigaction)(sig, &action, before);
    if (result == 0)
        signal_for_program(&old, before);
    else
        signal_write_entry(sig, old);
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

/* Only a question, a process that shares our memory, or one whose malloc is not ours: nothing is recorded. */
static int signal_pass(int sig, const struct sigaction *wanted, struct sigaction *before)
{
    int result = REAL(sigaction)(sig, wanted, before);

    if (result == 0 && before != NULL)
        signal_for_program(&signal_state.entries[sig], before);
    return result;
}

EXPORT int sigaction(int sig, const struct sigaction *wanted, struct sigaction *before)
{
    struct sigaction copy, found = {0};
    int result;

    if (sig < 1 || sig >= SIGNAL_N)
        return REAL(sigaction)(sig, wanted, before);
    if (wanted == NULL || api_state.is_passthrough || os_is_vfork_child())
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

/* libc's own changes SA_RESTART of the installed action, which is the kernel's to keep; signal() must know as
 * well. */
EXPORT int siginterrupt(int sig, int flag)
{
    int (*real_siginterrupt)(int, int) = (int (*)(int, int))real_get(REAL_siginterrupt);
    int result = real_siginterrupt(sig, flag);

    if (result == 0)
        signal_state.is_interrupting[sig] = flag != 0;
    return result;
}

void interpose_signal_install(void)
{
    os_gate_set_trampoline((void *)signal_trampoline);
}

void interpose_signal_fork_child(void)
{
    os_lock_reset(&signal_state.lock);
}
