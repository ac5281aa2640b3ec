/* Reads that may fault.
 *
 * What    While a stop lasts, SIGSEGV and SIGBUS are ours: a fault of a thread inside
 *         os_fault_guard makes that guard return false (the handler changes where its
 *         thread goes on); any other goes to the action that the program had set.
 * Owns    the two saved actions, the mask of who installed ours, each thread's innermost guard.
 * Locks and callers  begin and end: the collector, once per stop; guards: any marker.
 */
#include "os/os.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "base/check.h"
#include "os/context.h"
#include "os/kernel.h"

struct fault_frame {
    struct fault_frame *outer;
    uintptr_t sp; /* os_fault_call's, where the handler goes back to */
    uintptr_t addr;
};

bool os_fault_call(void (*fn)(void *arg), void *arg, uintptr_t *sp); /* stack_*.S */
extern const char os_fault_landing[];

enum { FAULT_N_SIGNALS = 2 };
static const int fault_signals[FAULT_N_SIGNALS] = {SIGSEGV, SIGBUS};
#define FAULT_MASK ((UINT64_C(1) << (SIGSEGV - 1)) | (UINT64_C(1) << (SIGBUS - 1)))

static __thread struct fault_frame *fault_top __attribute__((tls_model("initial-exec")));
static struct {
    uint32_t is_installed; /* atomic */
    struct kernel_sigaction saved[FAULT_N_SIGNALS];
    void *opener; /* &fault_top of the thread in which both signals are open as long as is_installed */
    uint64_t opener_mask;
} fault_state;

static struct kernel_sigaction *fault_saved_of(int sig)
{
    return &fault_state.saved[sig == SIGSEGV ? 0 : 1];
}

/* What the kernel would have done before it called the program's handler. The mask comes back by our own
 * return. */
static void fault_mask_as_for(const struct kernel_sigaction *action, int sig)
{
    uint64_t mask = action->mask | ((action->flags & SA_NODEFER) != 0 ? 0 : UINT64_C(1) << (sig - 1));

    kernel_sigprocmask(SIG_BLOCK, &mask, NULL);
}

/* Default, and "ignore" for a fault that the kernel would not ignore: without our action it happens again,
 * and ends the process with the signal and the core dump that are due. */
static void fault_take_default_action(int sig, const siginfo_t *info)
{
    struct kernel_sigaction action = {SIG_DFL, 0, NULL, 0};

    kernel_sigaction(sig, &action, NULL);
    if (info->si_code <= 0)
        os_syscall(SYS_tgkill, os_getpid(), os_gettid(), sig, 0, 0, 0);
}

static void fault_pass_on(int sig, siginfo_t *info, void *ucontext)
{
    struct kernel_sigaction action = *fault_saved_of(sig);

    if (action.handler == (void *)SIG_IGN && info->si_code <= 0)
        return;
    if (action.handler == (void *)SIG_DFL || action.handler == (void *)SIG_IGN) {
        fault_take_default_action(sig, info);
        return;
    }
    if ((action.flags & SA_RESETHAND) != 0)
        fault_saved_of(sig)->handler = (void *)SIG_DFL;
    fault_mask_as_for(&action, sig);
    if ((action.flags & SA_SIGINFO) != 0)
        ((void (*)(int, siginfo_t *, void *))action.handler)(sig, info, ucontext);
    else
        ((void (*)(int))action.handler)(sig);
}

/* A signal that was sent (si_code <= 0) is no fault of the guarded read. */
static void fault_handler(int sig, siginfo_t *info, void *ucontext)
{
    struct fault_frame *frame = fault_top;

    if (frame == NULL || info->si_code <= 0) {
        fault_pass_on(sig, info, ucontext);
        return;
    }
    frame->addr = (uintptr_t)info->si_addr;
    context_jump(ucontext, (uintptr_t)os_fault_landing, frame->sp);
}

/* A fault with its signal blocked ends the process, handler or not: so both are open in a guard. */
static bool fault_open(uint64_t *old)
{
    uint64_t open = FAULT_MASK;

    return kernel_sigprocmask(SIG_UNBLOCK, &open, old) == 0;
}

static void fault_close(const uint64_t *old)
{
    if ((*old & FAULT_MASK) != 0)
        kernel_sigprocmask(SIG_SETMASK, old, NULL);
}

int os_fault_guard_begin(void)
{
    struct kernel_sigaction ours = KERNEL_ACTION(fault_handler, SA_SIGINFO | SA_NODEFER | SA_ONSTACK, 0);

    ASSERT(fault_state.is_installed == 0);
    for (int i = 0; i < FAULT_N_SIGNALS; i++) {
        int err = kernel_sigaction(fault_signals[i], &ours, &fault_state.saved[i]);

        if (err != 0) {
            while (i-- > 0)
                kernel_sigaction(fault_signals[i], &fault_state.saved[i], NULL);
            return err;
        }
    }
    fault_state.opener = fault_open(&fault_state.opener_mask) ? &fault_top : NULL;
    __atomic_store_n(&fault_state.is_installed, 1, __ATOMIC_RELEASE);
    return 0;
}

void os_fault_guard_end(void)
{
    ASSERT(fault_state.is_installed == 1);
    __atomic_store_n(&fault_state.is_installed, 0, __ATOMIC_RELEASE);
    if (fault_state.opener != NULL)
        fault_close(&fault_state.opener_mask);
    fault_state.opener = NULL;
    for (int i = 0; i < FAULT_N_SIGNALS; i++)
        kernel_sigaction(fault_signals[i], &fault_state.saved[i], NULL);
}

/* The collector's guards, several in a cycle, are open from the beginning. */
static bool fault_run_open(void (*fn)(void *arg), void *arg, struct fault_frame *frame)
{
    uint64_t old;
    bool has_opened = frame->outer == NULL && fault_state.opener != &fault_top && fault_open(&old);
    bool is_done;

    fault_top = frame;
    SIGNAL_FENCE();
    is_done = os_fault_call(fn, arg, &frame->sp);
    SIGNAL_FENCE();
    fault_top = frame->outer;
    if (has_opened)
        fault_close(&old);
    return is_done;
}

bool os_fault_guard(void (*fn)(void *arg), void *arg, uintptr_t *fault_addr)
{
    struct fault_frame frame = {.outer = fault_top};
    bool has_installed = __atomic_load_n(&fault_state.is_installed, __ATOMIC_ACQUIRE) == 0;
    bool is_done;

    if (has_installed && os_fault_guard_begin() != 0) {
        *fault_addr = 0;
        return false;
    }
    is_done = fault_run_open(fn, arg, &frame);
    if (has_installed)
        os_fault_guard_end();
    if (!is_done)
        *fault_addr = frame.addr;
    return is_done;
}
