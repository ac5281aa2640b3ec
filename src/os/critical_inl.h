/* Critical sections of this thread: a stop that arrives in one waits for its end.
 *
 * What    A depth in os_tls. The stop handler that finds it above zero notes the
 *         stop in os_tls.stop_pending and returns; leaving the outermost section
 *         signals the thread itself again. In a section, fast paths are never cut
 *         (os_stop_set_fast_hooks).
 * Invariants  the depth goes to zero before stop_pending is read, so a signal at any
 *         instruction of os_critical_leave is either noted before that read or
 *         parks the thread by itself.
 * Locks and callers  any thread, handlers included; calls nest.
 */
#ifndef OS_CRITICAL_INL_H
#define OS_CRITICAL_INL_H

#include "base/check.h"
#include "base/compiler.h"
#include "os/os.h"

ALWAYS_INLINE void os_critical_enter(void)
{
    STORE_ONCE(os_tls.critical, os_tls.critical + 1);
    SIGNAL_FENCE();
    if (UNLIKELY(LOAD_ONCE(os_tls.is_fast_cut) != 0))
        os_stop_mend_fast();
}

ALWAYS_INLINE void os_critical_leave(void)
{
    uint32_t depth = os_tls.critical - 1;

    ASSERT(depth != UINT32_MAX);
    SIGNAL_FENCE();
    STORE_ONCE(os_tls.critical, depth);
    SIGNAL_FENCE();
    if (UNLIKELY(LOAD_ONCE(os_tls.stop_pending) != NULL) && depth == 0)
        os_stop_poll_pending();
}

#endif
