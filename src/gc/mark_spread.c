/* See mark_spread.h. */
#include "gc/mark_spread.h"

#include "base/compiler.h"
#include "os/os.h"

#define SPREAD_STOP_NS UINT64_C(500000) /* how long a helper waits for the end of the stop */
#define SPREAD_WAKER_NS UINT64_C(30000) /* and the collecting thread for the helper */

static struct {
    bool is_crowding;     /* atomic: a helper was woken on the collecting thread's processor */
    int kept_off;         /* the one that helpers were told to keep off; -1: none. The collecting thread's */
    pid_t tid;            /* atomic: the collecting thread, and where it ran when it woke them */
    int cpu;
    uint32_t n_wakers;    /* atomic: helpers that wait for the end of the stop */
    uint32_t woken_epoch; /* atomic: they woke everybody after this epoch had ended the stop */
} spread = {.kept_off = -1, .cpu = -1};

/* In the stop, where it costs two system calls, and no migration: the helpers sleep. */
void mark_spread_begin(const pid_t *tids, unsigned n)
{
    int cpu = os_cpu();
    STORE_ONCE(spread.tid, os_gettid());
    STORE_ONCE(spread.cpu, cpu);
    if (!LOAD_ONCE(spread.is_crowding) || spread.kept_off == cpu)
        return;
    spread.kept_off = cpu;
    for (unsigned i = 0; i < n; i++) {
        pid_t tid = __atomic_load_n(&tids[i], __ATOMIC_SEQ_CST);
        if (tid != 0)
            os_thread_keep_off(tid, spread.tid, cpu);
    }
}

void mark_spread_helper(void)
{
    int cpu = os_cpu();
    if (cpu < 0 || cpu != LOAD_ONCE(spread.cpu))
        return;
    STORE_ONCE(spread.is_crowding, true);
    os_thread_keep_off(0, LOAD_ONCE(spread.tid), cpu);
}

void mark_spread_wake_world(uint32_t epoch)
{
    __atomic_add_fetch(&spread.n_wakers, 1, __ATOMIC_SEQ_CST);
    uint64_t end_ns = os_clock_ns() + SPREAD_STOP_NS;
    while (os_stop_epoch() == epoch && os_clock_ns() < end_ns)
        continue;
    if (os_stop_epoch() != epoch) {
        os_stop_wake();
        __atomic_store_n(&spread.woken_epoch, epoch + 1, __ATOMIC_SEQ_CST);
    }
    __atomic_sub_fetch(&spread.n_wakers, 1, __ATOMIC_SEQ_CST);
}

/* Only what was done for this very epoch counts. */
bool mark_spread_has_woken(uint32_t epoch)
{
    uint64_t end_ns = os_clock_ns() + SPREAD_WAKER_NS;
    while (__atomic_load_n(&spread.n_wakers, __ATOMIC_SEQ_CST) != 0 && os_clock_ns() < end_ns)
        if (__atomic_load_n(&spread.woken_epoch, __ATOMIC_SEQ_CST) == epoch)
            return true;
    return __atomic_load_n(&spread.woken_epoch, __ATOMIC_SEQ_CST) == epoch;
}

void mark_spread_fork_child(void)
{
    spread.n_wakers = 0;
}
