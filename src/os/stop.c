/* Stopping threads: the collector's side.
 *
 * What    Signal 33 is glibc's, for setuid and its kin; libc's mask functions leave it
 *         open, so a program cannot block it by accident. We put our handler in front
 *         of glibc's and pass on every delivery that is not ours. A delivery of ours
 *         is queued with a magic number, the epoch of the stop and the slot's index.
 * Owns    os_stop_state.
 * Invariants  see stop_state.h. Slots are written by the handler only while it counts
 *         in n_inside and the epoch is the one of its signal; os_stop_prepare waits
 *         until no such handler is left, so that a thread that answers an abandoned
 *         stop too late never writes to the slots of the next.
 * Locks and callers  one collector at a time (CYCLE lock of the callers).
 * Not here  what a stopped thread does: stop_handler.c. Who is to be stopped, and what
 *         to do about a thread that does not answer: the storey above.
 */
#include "os/os.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/check.h"
#include "os/kernel.h"
#include "os/stop_state.h"

#define STOP_ALL_SIGNALS (~UINT64_C(0))
#define STOP_SETTLE_NS UINT64_C(200000) /* one look at late handlers; ten looks before -EBUSY */
#define STOP_SETTLE_N_LOOKS 10
#define STOP_INSTALL_N_TRIALS 8
#define STOP_PAUSE_NS UINT64_C(4000)
#define STOP_PAUSE_N_DOUBLINGS 8u /* 1 ms */

struct stop_state os_stop_state;

uint32_t os_stop_signal_number(void)
{
    return STOP_SIGNAL;
}

void os_stop_set_fast_text(uintptr_t lo, uintptr_t hi)
{
    ASSERT(lo <= hi);
    os_stop_state.fast_lo = lo;
    os_stop_state.fast_hi = hi;
}

void os_stop_set_fast_hooks(void (*cut)(void), void (*mend)(void))
{
    os_stop_state.mend_fast = mend;
    os_stop_state.cut_fast = cut;
}

bool os_stop_is_world_stopped(void)
{
    return __atomic_load_n(&os_stop_state.epoch, __ATOMIC_ACQUIRE) % 2 != 0;
}

static void stop_chain(const struct kernel_sigaction *found)
{
    os_stop_state.chained_has_info = (found->flags & SA_SIGINFO) != 0;
    __atomic_store_n(&os_stop_state.chained, found->handler, __ATOMIC_RELEASE);
}

/* glibc puts its handler at the first pthread_create, in place of ours. It is chained before ours goes back,
 * so no delivery of glibc's finds ours without it; and looked at again, in case glibc's came in between. */
static int stop_install(void)
{
    struct kernel_sigaction ours =
        KERNEL_ACTION(os_stop_handler, SA_SIGINFO | SA_RESTART | SA_ONSTACK, STOP_ALL_SIGNALS);
    struct kernel_sigaction found;
    int err = 0;

    for (int i = 0; i < STOP_INSTALL_N_TRIALS && err == 0; i++) {
        err = kernel_sigaction(STOP_SIGNAL, NULL, &found);
        if (err != 0 || found.handler == (void *)os_stop_handler)
            return err;
        stop_chain(&found);
        err = kernel_sigaction(STOP_SIGNAL, &ours, &found);
        if (err == 0 && found.handler != (void *)os_stop_handler)
            stop_chain(&found);
    }
    return err != 0 ? err : -EAGAIN;
}

void os_request_set_server(void (*serve)(uint64_t request))
{
    os_stop_state.serve_request = serve;
}

void os_request_listen(void)
{
    if (!os_seccomp_is_on() && stop_install() == 0)
        os_stop_signal_open();
}

/* Handlers of an earlier stop that are between their look at the epoch and their last store. */
static int stop_settle(void)
{
    for (int i = 0; i < STOP_SETTLE_N_LOOKS; i++) {
        uint32_t n = __atomic_load_n(&os_stop_state.n_inside, __ATOMIC_SEQ_CST);

        if (n == 0)
            return 0;
        os_futex_wait(&os_stop_state.n_inside, n, STOP_SETTLE_NS);
    }
    return -EBUSY;
}

int os_stop_prepare(void)
{
    int err;

    ASSERT(!os_stop_is_world_stopped());
    if (os_seccomp_is_on())
        return -EPERM;
    os_stop_state.pid = os_getpid();
    err = stop_install();
    return err != 0 ? err : stop_settle();
}

void os_stop_begin(struct os_stop_slot *slots, size_t n_slots)
{
    ASSERT(!os_stop_is_world_stopped());
    os_stop_state.slots = slots;
    os_stop_state.n_slots = n_slots;
    os_stop_state.n_seen = __atomic_load_n(&os_stop_state.n_answers, __ATOMIC_RELAXED);
    os_stop_state.n_busy_seen = __atomic_load_n(&os_stop_state.n_busy_answers, __ATOMIC_RELAXED);
    __atomic_add_fetch(&os_stop_state.epoch, 1, __ATOMIC_SEQ_CST); /* pairs with the handler's look at it */
}

int os_stop_queue(pid_t pid, pid_t tid, uint32_t epoch, uint32_t slot_idx)
{
    siginfo_t info;

    memset(&info, 0, sizeof(info));
    info.si_signo = STOP_SIGNAL;
    info.si_code = SI_QUEUE;
    info.si_errno = STOP_MAGIC;
    info.si_pid = pid;
    info.si_value.sival_ptr = (void *)((uintptr_t)epoch << 32 | slot_idx);
    return (int)os_syscall(SYS_rt_tgsigqueueinfo, pid, tid, STOP_SIGNAL, (long)&info, 0, 0);
}

static void stop_sleep(uint64_t ns)
{
    uint32_t word = 0;

    os_futex_wait(&word, 0, ns);
}

/* A signal that is queued before the thread was back from the last one is delivered at the very instruction
 * where that one found it. So the thread must have run in between: first as long as a fast path takes on
 * another CPU, then, by sleeping, for longer and longer. One pause serves all threads that were busy before
 * it began. */
static void stop_pause(uint32_t n_busy)
{
    uint64_t end_ns = os_clock_ns() + STOP_PAUSE_NS;

    os_stop_state.n_paused = __atomic_load_n(&os_stop_state.n_answers, __ATOMIC_SEQ_CST);
    if (n_busy > 1)
        stop_sleep(STOP_PAUSE_NS << (n_busy < STOP_PAUSE_N_DOUBLINGS ? n_busy : STOP_PAUSE_N_DOUBLINGS));
    while (os_clock_ns() < end_ns)
        os_syscall(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
}

/* Answers are counted modulo 2^32. */
static bool stop_has_run_since(const struct os_stop_slot *slot)
{
    return (int32_t)(os_stop_state.n_paused - slot->answer_no) > 0;
}

/* A thread that was busy or in a critical section may signal itself and answer at any time: then there is
 * nothing to do. */
int os_stop_send(uint32_t slot_idx)
{
    struct os_stop_slot *slot = &os_stop_state.slots[slot_idx];
    uint32_t state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);

    ASSERT(os_stop_is_world_stopped() && slot_idx < os_stop_state.n_slots);
    slot->n_busy = state == OS_STOP_BUSY ? slot->n_busy + 1 : 0;
    if (slot->n_busy != 0 && !stop_has_run_since(slot))
        stop_pause(slot->n_busy);
    if (state == OS_STOP_STOPPED || !__atomic_compare_exchange_n(&slot->state, &state, OS_STOP_SENT, false,
                                                                 __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        return 0;
    return os_stop_queue(os_stop_state.pid, slot->tid, os_stop_state.epoch, slot_idx);
}

/* Store of is_waiting before the look at n_answers, against the handler's growth of n_answers before its look
 * at is_waiting: one of the two sees the other, and the kernel compares n_answers once more. */
void os_stop_wait(uint32_t n_answers, uint64_t timeout_ns)
{
    uint32_t n;

    __atomic_store_n(&os_stop_state.wake_at, os_stop_state.n_seen + n_answers, __ATOMIC_SEQ_CST);
    __atomic_store_n(&os_stop_state.is_waiting, 1, __ATOMIC_SEQ_CST);
    n = __atomic_load_n(&os_stop_state.n_answers, __ATOMIC_SEQ_CST);
    if ((int32_t)(n - os_stop_state.wake_at) < 0 &&
        __atomic_load_n(&os_stop_state.n_busy_answers, __ATOMIC_SEQ_CST) == os_stop_state.n_busy_seen)
        os_futex_wait(&os_stop_state.n_answers, n, timeout_ns);
    __atomic_store_n(&os_stop_state.is_waiting, 0, __ATOMIC_SEQ_CST);
    os_stop_state.n_busy_seen = __atomic_load_n(&os_stop_state.n_busy_answers, __ATOMIC_SEQ_CST);
    os_stop_state.n_seen = __atomic_load_n(&os_stop_state.n_answers, __ATOMIC_SEQ_CST);
}

static void stop_open_gates(void)
{
    for (size_t i = 0; i < os_stop_state.n_slots && os_stop_state.slots[i].tid != 0; i++) {
        struct os_stop_slot *slot = &os_stop_state.slots[i];
        uint32_t held = OS_GATE_HELD;

        if (slot->state == OS_STOP_PUBLISHED && slot->thread != NULL)
            __atomic_compare_exchange_n(&slot->thread->gate, &held, OS_GATE_PUBLISHED, false,
                                        __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    }
}

void os_stop_end(void)
{
    ASSERT(os_stop_is_world_stopped());
    stop_open_gates();
    uint32_t epoch = __atomic_add_fetch(&os_stop_state.epoch, 1, __ATOMIC_SEQ_CST);
    if (os_stop_state.wake == NULL || !os_stop_state.wake(epoch))
        os_stop_wake();
}

void os_stop_set_waker(bool (*wake)(uint32_t epoch))
{
    os_stop_state.wake = wake;
}

uint32_t os_stop_epoch(void)
{
    return __atomic_load_n(&os_stop_state.epoch, __ATOMIC_SEQ_CST);
}

void os_stop_wake(void)
{
    os_futex_wake(&os_stop_state.epoch, UINT32_MAX);
}

/* The signals of a stop in the parent do not reach the child, and neither do its parked threads. */
void os_stop_fork_child(void)
{
    os_stop_state.epoch += os_stop_state.epoch % 2;
    os_stop_state.n_inside = 0;
    os_stop_state.is_waiting = 0;
    os_stop_state.slots = NULL;
    os_stop_state.n_slots = 0;
    os_tls.stop_pending = NULL; /* is_fast_cut stays: the next critical section mends */
}
