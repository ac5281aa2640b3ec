/* The gc_* functions about the end of a block: finalizers, cleanups, weak references. Contract in
 * include/gcmalloc.h.
 *
 * Not here  tables and queue: gc/finalizer.h, gc/weak.h.
 */
#include "gcmalloc.h"

#include <errno.h>
#include "api/alloc.h"
#include "api/thread.h"
#include "gc/event.h"
#include "gc/finalizer.h"
#include "gc/weak.h"

_Static_assert((int)GC_ORDERED == FINALIZER_ORDERED && (int)GC_ORDERED_BUT_SELF == FINALIZER_ORDERED_BUT_SELF &&
                   (int)GC_UNORDERED == FINALIZER_UNORDERED,
               "the public orders are the collector's");

EXPORT int gc_set_finalizer(void *obj, gc_finalizer_fn fn, void *arg)
{
    int error = finalizer_set(obj, fn, arg);

    api_exit_slow();
    thread_poke_helpers();
    return error;
}

EXPORT int gc_exchange_finalizer(void *obj, const struct gc_finalizer *set, struct gc_finalizer *old)
{
    struct finalizer_spec spec = {0}, before;
    int error;

    if (set != NULL && set->order > GC_UNORDERED)
        return EINVAL;
    if (set != NULL)
        spec = (struct finalizer_spec){set->fn, set->arg, (enum finalizer_order)set->order};
    error = finalizer_exchange(obj, &spec, &before);
    if (error == 0 && old != NULL)
        *old = (struct gc_finalizer){before.fn, before.arg, before.order};
    api_exit_slow();
    thread_poke_helpers();
    return error;
}

EXPORT int gc_add_cleanup(void *obj, void (*fn)(void *arg), void *arg)
{
    int error = fn != NULL ? finalizer_add_cleanup(obj, fn, arg) : EINVAL;

    api_exit_slow();
    thread_poke_helpers();
    return error;
}

EXPORT void gc_set_finalizer_thread(int is_on)
{
    finalizer_thread_enable(is_on != 0);
    if (is_on != 0)
        thread_poke_helpers();
}

EXPORT size_t gc_run_finalizers(void)
{
    size_t n_run = finalizer_run_queued();

    event_run_pending();
    api_exit_slow();
    return n_run;
}

EXPORT struct gc_weak *gc_weak_new(void *obj)
{
    int error = 0;
    struct gc_weak *weak = weak_new(obj, &error);

    api_exit_slow();
    if (weak == NULL)
        errno = error;
    return weak;
}

EXPORT int gc_weak_link(void **link, void *obj, unsigned flags)
{
    int error = flags & ~(unsigned)GC_WEAK_LONG ? EINVAL : weak_link_set(link, obj, flags & GC_WEAK_LONG);

    api_exit_slow();
    return error;
}

EXPORT int gc_weak_unlink(void **link)
{
    int error = weak_link_remove(link);

    api_exit_slow();
    return error;
}

EXPORT int gc_weak_move(void **from, void **to)
{
    int error = weak_link_move(from, to);

    api_exit_slow();
    return error;
}

EXPORT void *gc_weak_get(struct gc_weak *weak)
{
    void *obj = weak_get(weak);

    api_exit_slow();
    return obj;
}
