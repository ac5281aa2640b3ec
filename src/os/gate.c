/* The gate of a thread in a wrapped blocking call.
 *
 * What    The protocol on one word, os_thread.gate:
 *             RUNNING   -> PUBLISHED  the thread, when its registers are on its stack
 *             PUBLISHED -> RUNNING    the thread, when its call returned
 *             PUBLISHED -> HELD       the collector, in a stop: counts as stopped
 *             HELD      -> PUBLISHED  the collector, at the end of the stop
 *             PUBLISHED -> BORROWED   another thread that gives the waiting one's memory back
 *             BORROWED  -> PUBLISHED  the same, a moment later
 *         so that exactly one goes first.
 * Invariants  while PUBLISHED or HELD, everything the thread needs lies at or above
 *         published_sp, or in its frame.
 *         A borrower is in a critical section: it runs on in a stop, so whoever finds BORROWED waits for it.
 * Not here  spilling the registers: os_gate_publish in stack_*.S. Opening gates: os_stop_end.
 */
#include "os/os.h"

#include <signal.h>
#include <stddef.h>

#include "base/check.h"
#include "os/kernel.h"
#include "os/stop_state.h"

#define GATE_N_SIGNALS 64
#define GATE_SIGNAL_BIT(sig) (UINT64_C(1) << ((sig)-1))
#define GATE_BELOW_SP_BYTES 128u /* the wrapper's frame may use its red zone; costs nothing elsewhere */

void os_gate_publish_at(struct os_gate_frame *f, uintptr_t sp); /* tail of os_gate_publish */

static bool gate_change(struct os_thread *t, uint32_t from, uint32_t to)
{
    return __atomic_compare_exchange_n(&t->gate, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* A stop that began before the store may have found the gate open and have sent its signal, which must not reach the
 * thread inside the call: that would end with EINTR. It comes in here, or the gate is held; one that begins later finds
 * the gate published. Stores and loads sequentially consistent, against os_stop_begin and os_gate_hold. */
static void gate_close(struct os_thread *t)
{
    uint32_t epoch;

    __atomic_store_n(&t->gate, OS_GATE_PUBLISHED, __ATOMIC_SEQ_CST);
    while ((epoch = __atomic_load_n(&os_stop_state.epoch, __ATOMIC_SEQ_CST)) % 2 != 0)
        os_futex_wait(&os_stop_state.epoch, epoch, UINT64_MAX);
}

void os_gate_publish_at(struct os_gate_frame *f, uintptr_t sp)
{
    struct os_thread *t = os_tls.thread;

    f->is_published = false;
    if (t == NULL || os_tls.critical != 0 || __atomic_load_n(&t->gate, __ATOMIC_RELAXED) != OS_GATE_RUNNING)
        return;
    t->published_sp = sp - GATE_BELOW_SP_BYTES;
    f->is_published = true;
    gate_close(t);
}

static bool gate_await_return(struct os_thread *t)
{
    if (__atomic_load_n(&t->gate, __ATOMIC_ACQUIRE) != OS_GATE_BORROWED)
        return false;
    os_futex_wait(&t->gate, OS_GATE_BORROWED, UINT64_MAX);
    return true;
}

/* The collector opens the gate before it ends the epoch, so a waiter is not kept beyond the stop. */
static void gate_pass(struct os_thread *t)
{
    while (!gate_change(t, OS_GATE_PUBLISHED, OS_GATE_RUNNING)) {
        uint32_t epoch = __atomic_load_n(&os_stop_state.epoch, __ATOMIC_ACQUIRE);

        if (gate_await_return(t))
            continue;
        if (epoch % 2 != 0)
            os_futex_wait(&os_stop_state.epoch, epoch, UINT64_MAX);
        else if (gate_change(t, OS_GATE_HELD, OS_GATE_RUNNING)) /* held by a stop that is over: void */
            return;
    }
}

void os_gate_leave(struct os_gate_frame *f)
{
    if (f->is_published)
        gate_pass(os_tls.thread);
    f->is_published = false;
}

bool os_gate_suspend(void)
{
    struct os_thread *t = os_tls.thread;

    if (t == NULL || __atomic_load_n(&t->gate, __ATOMIC_RELAXED) == OS_GATE_RUNNING)
        return false;
    gate_pass(t);
    return true;
}

void os_gate_resume(bool was_published)
{
    if (was_published)
        gate_close(os_tls.thread);
}

/* Signals that a thread brings upon itself do not come to one that waits; 32 and 33 are libc's and ours. */
#define GATE_IGNORED_SIGNALS                                                                                           \
    (GATE_SIGNAL_BIT(SIGSEGV) | GATE_SIGNAL_BIT(SIGBUS) | GATE_SIGNAL_BIT(SIGFPE) | GATE_SIGNAL_BIT(SIGILL) |          \
     GATE_SIGNAL_BIT(SIGTRAP) | GATE_SIGNAL_BIT(SIGSYS) | GATE_SIGNAL_BIT(SIGKILL) | GATE_SIGNAL_BIT(SIGSTOP) |        \
     GATE_SIGNAL_BIT(32) | GATE_SIGNAL_BIT(33))

static void *gate_trampoline; /* NULL: none */

void os_gate_set_trampoline(void *trampoline)
{
    gate_trampoline = trampoline;
}

static bool gate_is_stranger(int sig)
{
    struct kernel_sigaction action;

    if ((GATE_IGNORED_SIGNALS & GATE_SIGNAL_BIT(sig)) != 0 || kernel_sigaction(sig, NULL, &action) != 0)
        return false;
    return action.handler != (void *)SIG_DFL && action.handler != (void *)SIG_IGN && action.handler != gate_trampoline;
}

bool os_gate_is_tight(void)
{
    for (int sig = 1; sig <= GATE_N_SIGNALS; sig++)
        if (gate_is_stranger(sig))
            return false;
    return true;
}

void os_gate_note_deaf(void)
{
    uint64_t blocked = 0;

    if (os_tls.thread != NULL && kernel_sigprocmask(SIG_BLOCK, NULL, &blocked) == 0)
        os_tls.thread->is_deaf = (~blocked & ~GATE_IGNORED_SIGNALS) == 0;
}

bool os_gate_hold(struct os_thread *t)
{
    ASSERT(os_stop_is_world_stopped());
    while (!gate_change(t, OS_GATE_PUBLISHED, OS_GATE_HELD)) {
        if (!gate_await_return(t))
            return false;
    }
    return true;
}

bool os_gate_borrow(struct os_thread *t)
{
    ASSERT(os_tls.critical > 0 && t != os_tls.thread);
    return gate_change(t, OS_GATE_PUBLISHED, OS_GATE_BORROWED);
}

void os_gate_return(struct os_thread *t)
{
    __atomic_store_n(&t->gate, OS_GATE_PUBLISHED, __ATOMIC_SEQ_CST);
    os_futex_wake(&t->gate, UINT32_MAX);
}
