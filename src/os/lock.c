/* Futex locks with ranks.
 *
 * What    A lock is one word: 0 free, 1 held, 2 held and somebody may be waiting.
 * Invariants  a holder is in a critical section, so that no stopped thread ever
 *         holds one. Ranks only rise (checking builds: bit per rank in os_tls).
 * Locks and callers  any thread; never across a call into libc.
 */
#include "os/os.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/check.h"

enum {
    LOCK_FREE = 0,
    LOCK_HELD = 1,
    LOCK_CONTENDED = 2,
    LOCK_N_SPINS = 100, /* a holder is done within some hundred nanoseconds, or it sleeps */
};

void os_futex_wait(uint32_t *word, uint32_t value, uint64_t timeout_ns)
{
    struct timespec ts = {(time_t)(timeout_ns / 1000000000u), (long)(timeout_ns % 1000000000u)};
    struct timespec *limit = timeout_ns == UINT64_MAX ? NULL : &ts;

    os_syscall(SYS_futex, (long)word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, (long)value, (long)limit, 0, 0);
}

void os_futex_wake(uint32_t *word, unsigned n)
{
    if (n > INT32_MAX)
        n = INT32_MAX;
    os_syscall(SYS_futex, (long)word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, (long)n, 0, 0, 0);
}

/* pre: none of the ranks from this one on is held, when one is to be waited for. */
static void lock_assert_rank(const struct os_lock *l)
{
    ASSERT(os_tls.critical > 0);
    ASSERT(l->rank > 0 && l->rank < 32);
    ASSERT(os_tls.ranks_held >> l->rank == 0);
}

static void lock_note(const struct os_lock *l, bool is_held)
{
#if GCM_CHECKING
    uint32_t bit = UINT32_C(1) << l->rank;

    ASSERT(((os_tls.ranks_held & bit) != 0) != is_held);
    os_tls.ranks_held ^= bit;
#else
    (void)l, (void)is_held;
#endif
}

static bool lock_take_free(struct os_lock *l, uint32_t value)
{
    uint32_t expected = LOCK_FREE;

    return __atomic_compare_exchange_n(&l->word, &expected, value, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static COLD void lock_wait(struct os_lock *l)
{
    for (int i = 0; i < LOCK_N_SPINS; i++) {
        if (LOAD_ONCE(l->word) == LOCK_FREE && lock_take_free(l, LOCK_HELD))
            return;
    }
    while (__atomic_exchange_n(&l->word, LOCK_CONTENDED, __ATOMIC_ACQUIRE) != LOCK_FREE)
        os_futex_wait(&l->word, LOCK_CONTENDED, UINT64_MAX);
}

void os_lock(struct os_lock *l)
{
    lock_assert_rank(l);
    if (UNLIKELY(!lock_take_free(l, LOCK_HELD)))
        lock_wait(l);
    lock_note(l, true);
}

bool os_trylock(struct os_lock *l)
{
    if (!lock_take_free(l, LOCK_HELD))
        return false;
    lock_note(l, true);
    return true;
}

void os_unlock(struct os_lock *l)
{
    lock_note(l, false);
    if (__atomic_exchange_n(&l->word, LOCK_FREE, __ATOMIC_RELEASE) == LOCK_CONTENDED)
        os_futex_wake(&l->word, 1);
}

void os_lock_reset(struct os_lock *l)
{
    __atomic_store_n(&l->word, LOCK_FREE, __ATOMIC_RELEASE);
#if GCM_CHECKING
    os_tls.ranks_held &= ~(UINT32_C(1) << l->rank);
#endif
}

bool os_lock_is_held(const struct os_lock *l)
{
#if GCM_CHECKING
    return (os_tls.ranks_held >> l->rank & 1) != 0;
#else
    return __atomic_load_n(&l->word, __ATOMIC_RELAXED) != LOCK_FREE;
#endif
}
