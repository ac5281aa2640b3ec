/* The gc_* functions about the end of a block: finalizers, cleanups, weak references. Contract in
 * include/gcmalloc.h.
 *
 * Not here  tables and queue: gc/finalizer.h, gc/weak.h.
 */
#include "gcmalloc.h"

#include <errno.h>
#include "api/alloc.h"
#include "api/thread.h"
#include "gc/finalizer.h"
#include "gc/weak.h"

EXPORT int gc_set_finalizer(void *obj, gc_finalizer_fn fn, void *arg)
{
    int error = finalizer_set(obj, fn, arg);

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

EXPORT size_t gc_run_finalizers(void)
{
    size_t n_run = finalizer_run_queued();

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

EXPORT void *gc_weak_get(struct gc_weak *weak)
{
    void *obj = weak_get(weak);

    api_exit_slow();
    return obj;
}
