/* Every free that is not one bit set by the owner: NULL, other threads' blocks, large ones, special ones,
 * foreign ones, blocks that the collector took, and misuse.
 *
 * Locks   as alloc_slow.c. errno is never changed.
 * Not here  the bits: heap/free.c.
 */
#include "api/alloc.h"

#include <errno.h>
#include <stdlib.h>
#include "api/real.h"
#include "api/watch.h"
#include "base/check.h"
#include "base/counters.h"
#include "gc/finalizer.h"
#include "gc/withhold.h"
#include "heap/probation.h"
#include "os/critical_inl.h"

/* Blocks of another allocator come from before we were there (or beside us) and go back to libc, which was
 * looked up by the constructor: never here, where the caller may hold any lock. No allocator finds its memory
 * around our heap, where the kernel places nothing by itself: that is one byte before our first block, say. */
COLD void free_foreign(void *p)
{
    void (*real_free)(void *) = REAL_KNOWN(free);
    int saved_errno = errno;

    if ((uintptr_t)p - heap_map.window_lo < heap_map.window_hi - heap_map.window_lo)
        check_misuse(MISUSE_INVALID_FREE, (uintptr_t)p);
    if (emergency_contains(p)) {
        emergency_free(p);
        return;
    }
    if (real_free == NULL) {
        counter_add(COUNTER_FOREIGN_FREE_DROPPED, 1);
        return;
    }
    counter_add(COUNTER_FOREIGN_FREE_FORWARDED, 1);
    real_free(p);
    errno = saved_errno;
}

/* A finalizer, weak references or a pin hang on the block. */
COLD static void free_forget_special(void *p)
{
    if (!finalizer_forget((uintptr_t)p))
        check_misuse(MISUSE_FREE_PINNED, (uintptr_t)p);
}

static enum heap_free_result free_in_section(void *p, bool is_moved)
{
    if (UNLIKELY(heap_is_special((uintptr_t)p)))
        free_forget_special(p);
    return heap_free_as(p, withhold_how(is_moved));
}

ALWAYS_INLINE void free_all(void *p, bool is_moved, const void *caller)
{
    enum heap_free_result result;
    struct unseen_site site = {0}; /* of a suspect nothing is known when it is freed */

    if (p == NULL)
        return;
    if (UNLIKELY(!heap_contains((uintptr_t)p))) {
        free_foreign(p);
        return;
    }
    if (UNLIKELY(os_tls.critical != 0 || api_tls.in_cycle != 0)) {
        emergency_defer_free(p);
        return;
    }
    api_enter_slow();
    if (UNLIKELY(tracked_is_any()))
        watch_freed(p);
    os_critical_enter();
    if (UNLIKELY(probation_is_on()))
        site = unseen_find(p);
    result = free_in_section(p, is_moved);
    os_critical_leave();
    if (UNLIKELY(result == HEAP_FREED_TAKEN))
        counter_add(COUNTER_TAKEN_FREED, 1);
    if (UNLIKELY(result == HEAP_FREED_TAKEN || result == HEAP_FREED_SUSPECT))
        unseen_tell("free", p, probation_is_on() ? site : unseen_find(p), caller);
    api_exit_slow();
}

NOINLINE void free_slow(void *p)
{
    free_all(p, false, __builtin_return_address(0));
}

COLD void free_moved(void *p)
{
    free_all(p, true, __builtin_return_address(0));
}

COLD void api_exit_pending(void)
{
    if (os_tls.critical != 0 || api_tls.in_cycle != 0)
        return;
    if (atomic_load_explicit(&emergency_deferred, memory_order_relaxed) != NULL)
        emergency_run_deferred();
    if (api_tls.has_deferred)
        signal_release_deferred();
}
