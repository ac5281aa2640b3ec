/* Stopping threads: the stopped thread's side.
 *
 * What    The handler of signal 33 and the second signal of a thread that leaves its
 *         critical section.
 *             a delivery not of ours            -> the handler that was there before
 *             a request from outside            -> served here and now, or dropped
 *             its stop is over                  -> return
 *             in a fast path (by the PC)        -> cut it, noted in os_tls; BUSY, return:
 *                                                  signalled again, or parks in the slow path
 *             in a critical section             -> CRITICAL, noted in os_tls, return
 *             else                              -> where its frame lies into the slot, STOPPED, park
 * Invariants  a slot is written only between stop_enter and stop_exit, and never after
 *         the state of STOPPED was stored. Nothing here touches errno: the kernel is
 *         entered without libc. Runs with all signals blocked.
 * Not here  the collector's side: stop.c.
 */
#include "os/os.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>

#include "base/check.h"
#include "os/context.h"
#include "os/kernel.h"
#include "os/process.h"
#include "os/stop_state.h"

#define STOP_RESEND_N_TRIALS 4

static ptrdiff_t stop_tls_offset; /* &os_tls minus the thread's base register: the same in every thread */

void os_stop_record_tls(void)
{
    stop_tls_offset = (ptrdiff_t)((uintptr_t)&os_tls - context_tls_base());
}

bool os_stop_is_fast_context(const void *ucontext)
{
    uintptr_t pc = context_pc(ucontext);

    return pc >= os_stop_state.fast_lo && pc < os_stop_state.fast_hi;
}

/* ---- writing to slots ------------------------------------------------------- */

/* false: the stop is over, nothing may be written. Either way stop_exit or stop_answer must follow. */
static bool stop_enter(uint32_t epoch)
{
    __atomic_add_fetch(&os_stop_state.n_inside, 1, __ATOMIC_SEQ_CST); /* pairs with stop_settle */
    return epoch % 2 != 0 && __atomic_load_n(&os_stop_state.epoch, __ATOMIC_SEQ_CST) == epoch;
}

static void stop_exit(void)
{
    __atomic_sub_fetch(&os_stop_state.n_inside, 1, __ATOMIC_SEQ_CST);
}

/* The last store to the slot: the collector may use what was written before it. Only then the collector is
 * woken, because on a busy machine that is where this thread loses its CPU: counted as inside, it would hold
 * up the next stop. */
static void stop_answer(struct os_stop_slot *slot, uint32_t state)
{
    __atomic_store_n(&slot->state, state, __ATOMIC_RELEASE);
    stop_exit();
    if (state == OS_STOP_BUSY)
        __atomic_add_fetch(&os_stop_state.n_busy_answers, 1, __ATOMIC_SEQ_CST);
    uint32_t n = __atomic_add_fetch(&os_stop_state.n_answers, 1, __ATOMIC_SEQ_CST); /* pairs with os_stop_wait */
    if (__atomic_load_n(&os_stop_state.is_waiting, __ATOMIC_SEQ_CST) == 0)
        return;
    /* Woken for each of them, it took the CPU from those that had not answered yet. */
    if (state == OS_STOP_BUSY || (int32_t)(n - __atomic_load_n(&os_stop_state.wake_at, __ATOMIC_SEQ_CST)) >= 0)
        os_futex_wake(&os_stop_state.n_answers, 1);
}

static void stop_park(uint32_t epoch)
{
    while (__atomic_load_n(&os_stop_state.epoch, __ATOMIC_ACQUIRE) == epoch)
        os_futex_wait(&os_stop_state.epoch, epoch, UINT64_MAX);
}

/* ---- is it in a critical section? --------------------------------------------- */

/* A thread that never registered may be one that libc does not know, with a base register of its own or none:
 * its os_tls is read through the kernel, which says EFAULT where we would fault, and is known by its mark. glibc's thread block
 * holds its own address. */
static bool stop_has_our_tls(pid_t pid, uintptr_t base)
{
    struct os_tls copy;
    uintptr_t self_word = 0;
    struct iovec local[2] = {{&copy, sizeof(copy)}, {&self_word, sizeof(self_word)}};
    struct iovec remote[2] = {{(void *)(base + (uintptr_t)stop_tls_offset), sizeof(copy)},
                              {(void *)(base + CONTEXT_TLS_SELF_OFFSET), sizeof(self_word)}};
    long n = os_syscall(SYS_process_vm_readv, pid, (long)local, 2, (long)remote, 2, 0);

    if (n == -ENOSYS || n == -EPERM)
        return true;
    return n == (long)(sizeof(copy) + sizeof(self_word)) && copy.mark == OS_TLS_MARK &&
           (!CONTEXT_TLS_HAS_SELF || self_word == base);
}

/* This thread's os_tls, or NULL where it has none of its own: a thread made by clone may share its creator's,
 * which is then not its own critical section. */
static struct os_tls *stop_own_tls(const struct os_stop_slot *slot)
{
    struct os_tls *tls;

    if (slot->thread == NULL && !stop_has_our_tls(os_stop_state.pid, context_tls_base()))
        return NULL;
    tls = &os_tls;
    return tls->tid == 0 || tls->tid == slot->tid ? tls : NULL;
}

static void stop_note(struct os_tls *tls, struct os_stop_slot *slot, uint32_t epoch)
{
    tls->stop_epoch_pending = epoch;
    tls->stop_pending = slot;
}

/* A thread that never registered, or no longer is, waits in calls all the same: it learns why one ended. */
static bool stop_is_critical(struct os_stop_slot *slot, uint32_t epoch)
{
    struct os_tls *tls = stop_own_tls(slot);

    if (tls == NULL)
        return false;
    if (tls->critical != 0)
        stop_note(tls, slot, epoch);
    else
        tls->was_stopped = true;
    return tls->critical != 0;
}

/* ---- cutting fast paths ------------------------------------------------------------- */

/* Not in a critical section (a handler of the program's runs in it): the section relies on what is cut. */
static void stop_cut_fast(struct os_stop_slot *slot, uint32_t epoch)
{
    if (os_stop_state.cut_fast == NULL || os_tls.critical != 0)
        return;
    stop_note(&os_tls, slot, epoch);
    if (os_tls.is_fast_cut == 0)
        os_stop_state.cut_fast();
    os_tls.is_fast_cut = 1;
}

/* Cleared first or last makes no difference: in a critical section nothing is cut. */
void os_stop_mend_fast(void)
{
    ASSERT(os_tls.critical > 0);
    os_stop_state.mend_fast();
    STORE_ONCE(os_tls.is_fast_cut, 0);
}

/* ---- the handler ----------------------------------------------------------------- */

static void stop_fill(struct os_stop_slot *slot, const void *ucontext)
{
    slot->sp = context_sp(ucontext);
    slot->frame_lo = (uintptr_t)__builtin_frame_address(0);
    slot->frame_hi = context_frame_end(ucontext);
}

static void stop_answer_busy(struct os_stop_slot *slot)
{
    slot->answer_no = __atomic_load_n(&os_stop_state.n_answers, __ATOMIC_SEQ_CST);
    stop_answer(slot, OS_STOP_BUSY);
}

/* Answers for the slot; true: the thread must park. */
static bool stop_serve(struct os_stop_slot *slot, uint32_t epoch, const void *ucontext)
{
    if (os_stop_is_fast_context(ucontext)) {
        stop_cut_fast(slot, epoch);
        stop_answer_busy(slot);
        return false;
    }
    if (stop_is_critical(slot, epoch)) {
        stop_answer(slot, OS_STOP_CRITICAL);
        return false;
    }
    stop_fill(slot, ucontext);
    stop_answer(slot, OS_STOP_STOPPED);
    return true;
}

/* Another's slot: threads that libc does not know may share their local data, where a stop of one is noted and the other leaves
 * its section. An epoch that is over: this stop's, or one from before an exec, whose signals the new program inherits before
 * it has stopped anybody. */
static void stop_receive(uint32_t epoch, uint32_t slot_idx, const void *ucontext)
{
    if (!stop_enter(epoch) || slot_idx >= os_stop_state.n_slots ||
        os_stop_state.slots[slot_idx].tid != os_gettid())
        stop_exit();
    else if (stop_serve(&os_stop_state.slots[slot_idx], epoch, ucontext))
        stop_park(epoch);
}

/* ---- requests from outside --------------------------------------------------------- */

static bool stop_is_request(const siginfo_t *info)
{
    return info->si_code == SI_QUEUE && info->si_errno == OS_REQUEST_MAGIC;
}

/* Wherever something of ours is half done, the request is dropped. */
static bool stop_may_serve(const void *ucontext)
{
    if (os_stop_state.serve_request == NULL || os_stop_is_fast_context(ucontext) || os_is_vfork_child())
        return false;
    if (!stop_has_our_tls(os_getpid(), context_tls_base()))
        return false;
    return os_tls.critical == 0 && os_tls.thread != NULL && os_tls.thread->tid == os_gettid();
}

static void stop_take_request(const siginfo_t *info, const void *ucontext)
{
    if (!stop_may_serve(ucontext))
        return;
    os_tls.thread->asked_sp = context_sp(ucontext);
    os_stop_state.serve_request((uintptr_t)info->si_value.sival_ptr);
    os_tls.thread->asked_sp = 0;
}

/* ---- deliveries of others ------------------------------------------------------------ */

/* Nobody handled the signal before us: let it do to the process what it would have done. It is blocked until
 * we return. */
static void stop_take_default_action(void)
{
    struct kernel_sigaction action = {SIG_DFL, 0, NULL, 0};

    kernel_sigaction(STOP_SIGNAL, &action, NULL);
    os_syscall(SYS_tgkill, os_getpid(), os_gettid(), STOP_SIGNAL, 0, 0, 0);
}

static void stop_pass_on(int sig, siginfo_t *info, void *ucontext)
{
    void *chained = __atomic_load_n(&os_stop_state.chained, __ATOMIC_ACQUIRE);

    if (chained == (void *)SIG_IGN)
        return;
    if (chained == (void *)SIG_DFL)
        stop_take_default_action();
    else if (os_stop_state.chained_has_info)
        ((void (*)(int, siginfo_t *, void *))chained)(sig, info, ucontext);
    else
        ((void (*)(int))chained)(sig);
}

static bool stop_is_ours(const siginfo_t *info)
{
    return info->si_code == SI_QUEUE && info->si_errno == STOP_MAGIC;
}

void os_stop_handler(int sig, void *info, void *ucontext)
{
    uintptr_t value;

    if (stop_is_request(info)) {
        stop_take_request(info, ucontext);
        return;
    }
    if (!stop_is_ours(info)) {
        stop_pass_on(sig, info, ucontext);
        return;
    }
    value = (uintptr_t)((siginfo_t *)info)->si_value.sival_ptr;
    stop_receive((uint32_t)(value >> 32), (uint32_t)value, ucontext);
}

/* ---- leaving a critical section ------------------------------------------------------ */

/* Not counted as inside: the thread parks before this returns. */
static int stop_signal_self(uint32_t epoch, uint32_t slot_idx)
{
    int err = -EAGAIN;

    for (int i = 0; i < STOP_RESEND_N_TRIALS && err == -EAGAIN; i++)
        err = os_stop_queue(os_stop_state.pid, os_gettid(), epoch, slot_idx);
    return err;
}

/* Registers are best taken by the handler, so the thread signals itself. If the kernel has no room for
 * another queued signal, the collector is told to try again. */
void os_stop_poll_pending(void)
{
    struct os_stop_slot *slot = os_tls.stop_pending;
    uint32_t epoch = os_tls.stop_epoch_pending;

    STORE_ONCE(os_tls.stop_pending, NULL);
    SIGNAL_FENCE();
    if (slot == NULL || __atomic_load_n(&os_stop_state.epoch, __ATOMIC_SEQ_CST) != epoch)
        return;
    if (stop_signal_self(epoch, (uint32_t)(slot - os_stop_state.slots)) == 0)
        return;
    if (stop_enter(epoch))
        stop_answer_busy(slot);
    else
        stop_exit();
}
