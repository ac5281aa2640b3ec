/* What programs ask for: finalizers, cleanups, pins; and what free does to a block that has them. See
 * finalizer.h. */
#include "gc/finalizer.h"

#include <errno.h>

#include "base/counters.h"
#include "gc/finalizer_table.h"
#include "gc/weak.h"
#include "heap/heap.h"
#include "heap/layout.h"
#include "heap/meta.h"
#include "os/critical_inl.h"

static void finalizer_lock_enter(void)
{
    os_critical_enter();
    os_lock(&finalizer_lock);
}

static int finalizer_unlock_leave(int error)
{
    os_unlock(&finalizer_lock);
    os_critical_leave();
    return error;
}

/* ---- finalizers ---- */

static void finalizer_clear_locked(struct finalizer_record *r)
{
    r->state = FINALIZER_NONE;
    finalizer_table_drop_if_empty(r);
}

static void finalizer_put_locked(struct finalizer_record *r, const struct finalizer_spec *spec)
{
    r->state = FINALIZER_NONE; /* while fn and arg do not belong together */
    SIGNAL_FENCE();
    r->fn = spec->fn;
    r->arg = spec->arg;
    r->order = (uint8_t)spec->order;
    r->is_cyclic = false;
    __atomic_store_n(&r->state, FINALIZER_SET, __ATOMIC_RELEASE);
    counter_add(COUNTER_FINALIZERS_SET, 1);
}

/* pre: obj is the start of a block. */
static int finalizer_exchange_locked(uintptr_t obj, const struct finalizer_spec *spec, struct finalizer_spec *old)
{
    struct finalizer_record *r = finalizer_table_find(obj);
    *old = (struct finalizer_spec){0};
    if (r != NULL && r->state == FINALIZER_QUEUED)
        return EEXIST;
    if (r != NULL && r->state == FINALIZER_SET)
        *old = (struct finalizer_spec){r->fn, r->arg, (enum finalizer_order)r->order};
    if (spec->fn == NULL) {
        if (old->fn != NULL)
            finalizer_clear_locked(r);
        return 0;
    }
    r = finalizer_table_enter(obj);
    if (r == NULL)
        return ENOMEM;
    finalizer_put_locked(r, spec);
    return 0;
}

int finalizer_exchange(void *obj, const struct finalizer_spec *spec, struct finalizer_spec *old)
{
    struct finalizer_spec ignored;
    finalizer_lock_enter();
    int error = EINVAL;
    if (finalizer_is_block_start((uintptr_t)obj))
        error = finalizer_exchange_locked((uintptr_t)obj, spec, old != NULL ? old : &ignored);
    return finalizer_unlock_leave(error);
}

static int finalizer_set_locked(uintptr_t obj, const struct finalizer_spec *spec)
{
    struct finalizer_spec old;
    if (!finalizer_is_block_start(obj))
        return EINVAL;
    const struct finalizer_record *r = finalizer_table_find(obj);
    bool is_set = r != NULL && r->state != FINALIZER_NONE;
    if (spec->fn != NULL && is_set)
        return EEXIST;
    if (spec->fn == NULL && (!is_set || r->state != FINALIZER_SET))
        return 0;
    return finalizer_exchange_locked(obj, spec, &old);
}

int finalizer_set(void *obj, finalizer_fn fn, void *arg)
{
    const struct finalizer_spec spec = {fn, arg, FINALIZER_ORDERED};
    finalizer_lock_enter();
    return finalizer_unlock_leave(finalizer_set_locked((uintptr_t)obj, &spec));
}

static finalizer_fn finalizer_first_cyclic_fn;

finalizer_fn finalizer_first_cyclic(void)
{
    return LOAD_ONCE(finalizer_first_cyclic_fn);
}

void finalizer_note_first_cyclic(finalizer_fn fn)
{
    if (finalizer_first_cyclic_fn == NULL)
        STORE_ONCE(finalizer_first_cyclic_fn, fn);
}

/* ---- cleanups ---- */

static int finalizer_add_cleanup_locked(uintptr_t obj, cleanup_fn fn, void *arg)
{
    if (!finalizer_is_block_start(obj) || fn == NULL)
        return EINVAL;
    struct finalizer_record *r = finalizer_table_enter(obj);
    if (r == NULL)
        return ENOMEM;
    struct finalizer_record *cleanup = finalizer_record_new();
    if (cleanup == NULL) {
        finalizer_table_drop_if_empty(r);
        return ENOMEM;
    }
    cleanup->fn = (finalizer_fn)(void (*)(void))fn;
    cleanup->arg = arg;
    cleanup->state = FINALIZER_CLEANUP;
    cleanup->queue_next = r->cleanups;
    __atomic_store_n(&r->cleanups, meta_ref(cleanup), __ATOMIC_RELEASE);
    return 0;
}

int finalizer_add_cleanup(void *obj, cleanup_fn fn, void *arg)
{
    finalizer_lock_enter();
    return finalizer_unlock_leave(finalizer_add_cleanup_locked((uintptr_t)obj, fn, arg));
}

static void finalizer_drop_cleanups_locked(struct finalizer_record *r)
{
    while (r->cleanups != 0) {
        struct finalizer_record *cleanup = finalizer_record_of_ref(r->cleanups);
        r->cleanups = cleanup->queue_next;
        finalizer_record_free(cleanup);
    }
}

/* ---- pins ---- */

static int finalizer_pin_locked(uintptr_t obj)
{
    if (!finalizer_is_block_start(obj))
        return EINVAL;
    struct finalizer_record *r = finalizer_table_enter(obj);
    if (r == NULL)
        return ENOMEM;
    if (r->n_pins == UINT32_MAX)
        return EOVERFLOW;
    STORE_ONCE(r->n_pins, r->n_pins + 1);
    return 0;
}

static int finalizer_unpin_locked(uintptr_t obj)
{
    struct finalizer_record *r = finalizer_table_find(obj);
    if (r == NULL || r->n_pins == 0)
        return EINVAL;
    STORE_ONCE(r->n_pins, r->n_pins - 1);
    finalizer_table_drop_if_empty(r);
    return 0;
}

int finalizer_pin(void *obj)
{
    finalizer_lock_enter();
    return finalizer_unlock_leave(finalizer_pin_locked((uintptr_t)obj));
}

int finalizer_unpin(void *obj)
{
    finalizer_lock_enter();
    return finalizer_unlock_leave(finalizer_unpin_locked((uintptr_t)obj));
}

/* ---- free ---- */

/* A record on the queue leaves the table and stays where it is: who takes it finds nothing to call. */
static void finalizer_forget_locked(struct finalizer_record *r, size_t size_bytes)
{
    finalizer_drop_cleanups_locked(r);
    weak_forget_links_locked(r, size_bytes);
    weak_forget_locked(r);
    if (r->state != FINALIZER_QUEUED) {
        r->state = FINALIZER_NONE;
        finalizer_table_drop_if_empty(r);
        return;
    }
    finalizer_table_remove(r);
    r->fn = NULL;
    r->obj = 0;
    r->arg = NULL;
}

/* From obj to the end of its block, or of its part of one. */
static size_t finalizer_block_bytes(uintptr_t obj)
{
    struct heap_obj found;
    if (heap_find_object(obj, &found) != HEAP_LIVE)
        return 0;
    return found.span->flavor == FLAVOR_GC_TINY ? layout_part_bytes(found.span, obj) : found.size_bytes;
}

bool finalizer_forget(uintptr_t obj)
{
    os_lock(&finalizer_lock);
    struct finalizer_record *r = finalizer_table_find(obj);
    bool is_pinned = r != NULL && r->n_pins != 0;
    if (r != NULL && !is_pinned)
        finalizer_forget_locked(r, finalizer_block_bytes(obj));
    os_unlock(&finalizer_lock);
    return !is_pinned;
}

void finalizer_fork_child(void)
{
    finalizer_table_fork_child();
    weak_fork_child();
    finalizer_queue_fork_child();
}
