/* What the fast paths of malloc and of gc_malloc share: whether a bin whose window is used up may go on by itself.
 *
 * Invariants  as malloc_fast.c: no frame, no call. Included between pragmas that make what other files define hidden.
 */
#ifndef API_FAST_INL_H
#define API_FAST_INL_H

#include "api/alloc.h"
#include "gc/pacer.h"
#include "heap/tcache_inl.h"
#include "os/os.h"

/* The window is used up: the bin may go on to the next one of its span, *w, as long as nothing else is due. Not in a handler
 * that interrupted a slow path. */
ALWAYS_INLINE bool fast_may_step(const struct tcache_bin *bin, uint32_t *w)
{
    if (UNLIKELY(os_tls.critical != 0 || api_tls.in_cycle != 0 || pacer_is_stressed()))
        return false;
    return tcache_step_find(LOAD_ONCE(tcache_self), bin, w);
}

#endif
