/* The gc_* functions that collect and keep blocks; contract in include/gcmalloc.h.
 *
 * Locks   all are called outside critical sections and enter none while the program's functions run.
 * Not here  algorithms: gc; finalizers and weak references: gc_api_lifetime.c; figures: gc_api_stats.c; profile and
 *         leaks: gc_api_profile.c; snapshots: gc_api_snapshot.c; the walk: gc_walk.c; allocating: gc_malloc.c, gc_type.c.
 */
#include "gcmalloc.h"

#include <errno.h>
#include "api/alloc.h"
#include "api/neighbours.h"
#include "api/thread.h"
#include "gc/event.h"
#include "gc/finalizer.h"
#include "gc/pacer.h"
#include "gc/roots.h"
#include "gc/twin.h"
#include "gc/withhold.h"
#include "os/critical_inl.h"

enum { GC_PERCENT_MAX = 100000 };
_Static_assert((int)GC_MODE_OFF == MODE_OFF && (int)GC_MODE_REPORT == MODE_REPORT &&
                   (int)GC_MODE_EXPLICIT == MODE_EXPLICIT && (int)GC_MODE_RECLAIM == MODE_RECLAIM &&
                   (int)GC_MODE_AUTO == MODE_AUTO,
               "the public modes are the collector's");
_Static_assert((int)GC_ON_BEGIN == EVENT_BEGIN && (int)GC_ON_END == EVENT_END &&
                   (int)GC_ON_LIMIT == EVENT_LIMIT,
               "the public events are the collector's");

static bool gc_is_due(enum cycle_cause *cause)
{
    bool is_due;

    os_critical_enter();
    is_due = pacer_is_due(0, cause);
    os_critical_leave();
    api_exit_slow();
    return is_due;
}

static int gc_run(enum cycle_cause cause)
{
    event_begin_here();
    enum cycle_skip skip = api_collect_after_others(cause);

    api_exit_slow(); /* before the program's listeners run */
    event_end_here();
    api_exit_slow();
    thread_poke_helpers();
    return skip == SKIP_NONE ? 0 : ECANCELED;
}

EXPORT size_t gc_trim(void)
{
    size_t n_bytes;

    if (!api_enter_slow())
        return 0;
    os_critical_enter();
    n_bytes = heap_trim(0);
    os_critical_leave();
    api_exit_slow();
    return n_bytes;
}

EXPORT int gc_on_event(unsigned events, gc_event_fn fn, void *arg)
{
    int error = event_listen(events, fn, arg);

    pacer_look_early();
    api_exit_slow();
    thread_poke_helpers();
    return error;
}

EXPORT int gc_off_event(gc_event_fn fn, void *arg)
{
    int error = event_unlisten(fn, arg);

    api_exit_slow();
    return error;
}

EXPORT int gc_collect_level(int level)
{
    enum cycle_cause cause = CYCLE_EXPLICIT;
    int error;

    if (level < GC_IF_DUE || level > GC_FULL_EAGER)
        return EINVAL;
    if (!api_enter_slow())
        return ECANCELED;
    if (level == GC_IF_DUE && !gc_is_due(&cause))
        return 0;
    error = gc_run(cause);
    if (level == GC_FULL_EAGER && error == 0) {
        gc_run_finalizers();
        gc_trim();
    }
    return error;
}

EXPORT void gc_collect(void)
{
    if (api_state.is_passthrough)
        neighbours_find_late();
    if (neighbours.gc_collect != NULL)
        neighbours.gc_collect();
    else
        gc_collect_level(GC_FULL);
}

EXPORT void gc_inhibit(void)
{
    cycle_inhibit();
    api_exit_slow();
}

EXPORT void gc_uninhibit(void)
{
    cycle_uninhibit();
    api_exit_slow();
}

EXPORT int gc_set_percent(int percent)
{
    if (percent > GC_PERCENT_MAX)
        return EINVAL;
    pacer_set_percent(percent);
    withhold_settings_changed();
    api_exit_slow();
    return 0;
}

EXPORT int gc_set_limit(size_t limit_bytes)
{
    pacer_set_limit(limit_bytes);
    withhold_settings_changed();
    api_exit_slow();
    return 0;
}

EXPORT int gc_set_mode(int mode)
{
    if (mode < GC_MODE_OFF || mode > GC_MODE_AUTO)
        return EINVAL;
    cycle_set_mode((enum cycle_mode)mode);
    withhold_settings_changed();
    api_exit_slow();
    return 0;
}

EXPORT int gc_pin(void *obj)
{
    int error = finalizer_pin(obj);

    api_exit_slow();
    return error;
}

EXPORT int gc_unpin(void *obj)
{
    int error = finalizer_unpin(obj);

    api_exit_slow();
    return error;
}

EXPORT int gc_add_roots(void *start, size_t size_bytes)
{
    int error = api_enter_slow() ? roots_add(start, size_bytes) : ENOMEM;

    api_exit_slow();
    return error;
}

EXPORT int gc_remove_roots(void *start, size_t size_bytes)
{
    int error = roots_remove(start, size_bytes);

    api_exit_slow();
    return error;
}

EXPORT int gc_exclude_roots(void *start, size_t size_bytes)
{
    int error = api_enter_slow() ? roots_exclude(start, size_bytes) : ENOMEM;

    api_exit_slow();
    return error;
}

EXPORT void *gc_find_object(const void *address, size_t *size_bytes)
{
    struct heap_obj obj;
    enum heap_find found;

    os_critical_enter();
    twin_doubt();
    found = heap_find_object((uintptr_t)address, &obj);
    os_critical_leave();
    api_exit_slow();
    if (found != HEAP_LIVE)
        return NULL;
    if (size_bytes != NULL)
        *size_bytes = obj.size_bytes;
    return (void *)obj.start;
}
