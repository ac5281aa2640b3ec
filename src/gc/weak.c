/* See weak.h. A handle's first word is the complement of its target's address, 0 once the target is gone.
 *
 * The race with a cycle. weak_get reads the word, makes the address of it, and reads the word again. A stop
 * before the address exists may find the target unreachable; then the second read sees 0. A stop after it
 * finds the address in a register or on the stack.
 *
 * On probation. A target that one cycle found unreachable may be asked for before the next one. Put into a block that only that one
 * finds unreachable, it would be taken then, though the block can still be had, and the target with it. So it is a root of that cycle.
 * (Who reads a link's word asks nobody.)
 */
#include "gc/weak.h"

#include <errno.h>

#include "base/counters.h"
#include "gc/finalizer_table.h"
#include "gc/mark.h"
#include "heap/heap.h"
#include "heap/meta.h"
#include "heap/probation.h"
#include "os/critical_inl.h"

struct gc_weak {
    uintptr_t hidden;
    uintptr_t was_asked; /* careful mode: since the last cycle */
};

static bool weak_was_used;

bool weak_is_used(void)
{
    return LOAD_ONCE(weak_was_used);
}

/* ---- links; FIN held or world stopped ---- */

static void weak_link(struct finalizer_record *handle, struct finalizer_record *target)
{
    struct finalizer_record *first = finalizer_record_of_ref(target->weak_handles);
    handle->weak_target = meta_ref(target);
    handle->weak_next = target->weak_handles;
    handle->weak_prev = 0;
    if (first != NULL)
        first->weak_prev = meta_ref(handle);
    __atomic_store_n(&target->weak_handles, meta_ref(handle), __ATOMIC_RELEASE);
}

/* The list is whole forwards at every instant; backwards it is mended in a fork child (weak_fork_child). */
static void weak_leave_list(struct finalizer_record *handle, struct finalizer_record *target)
{
    struct finalizer_record *prev = finalizer_record_of_ref(handle->weak_prev);
    struct finalizer_record *next = finalizer_record_of_ref(handle->weak_next);
    STORE_ONCE(*(prev == NULL ? &target->weak_handles : &prev->weak_next), handle->weak_next);
    if (next != NULL)
        next->weak_prev = handle->weak_prev;
    handle->weak_target = 0;
}

/* Where links in this place are counted: the block's record, or NULL for places that are no block. */
static struct finalizer_record *weak_container(uintptr_t link)
{
    struct heap_obj found;
    enum heap_find state = heap_find_object(link, &found);
    return state == HEAP_LIVE || state == HEAP_TAKEN ? finalizer_table_find(found.start) : NULL;
}

/* A handle or link without a target: its record ends, unless it has another purpose. */
static void weak_end_record(struct finalizer_record *handle)
{
    if (handle->is_link) {
        struct finalizer_record *container = weak_container(finalizer_record_address(handle));
        if (container != NULL && container->n_links != 0) {
            STORE_ONCE(container->n_links, container->n_links - 1);
            finalizer_table_drop_if_empty(container);
        }
    }
    finalizer_table_drop_if_empty(handle);
}

static void weak_unlink(struct finalizer_record *handle)
{
    struct finalizer_record *target = finalizer_record_of_ref(handle->weak_target);
    weak_leave_list(handle, target);
    finalizer_table_drop_if_empty(target);
}

static void weak_set_null(const struct finalizer_record *handle)
{
    if (handle->is_link)
        __atomic_store_n((void **)finalizer_record_address(handle), NULL, __ATOMIC_RELEASE);
    else
        STORE_ONCE(((struct gc_weak *)handle->obj)->hidden, 0);
    counter_add(COUNTER_WEAK_CLEARED, 1);
}

/* The target's record outlives this, even if the last of its links lies in the target itself. */
static void weak_clear_handles(struct finalizer_record *target, bool also_long)
{
    target->n_pins++;
    for (uint32_t ref = target->weak_handles, next; ref != 0; ref = next) {
        struct finalizer_record *handle = finalizer_record_of_ref(ref);
        next = handle->weak_next;
        if (handle->is_long && !also_long)
            continue;
        weak_set_null(handle);
        weak_leave_list(handle, target);
        weak_end_record(handle);
    }
    target->n_pins--;
}

void weak_forget_locked(struct finalizer_record *r)
{
    weak_clear_handles(r, true);
    if (r->weak_target != 0)
        weak_unlink(r);
}

static void weak_mend_record(struct finalizer_record *target, void *ctx)
{
    uint32_t prev = 0;
    (void)ctx;
    for (uint32_t ref = target->weak_handles; ref != 0; ref = finalizer_record_of_ref(ref)->weak_next) {
        finalizer_record_of_ref(ref)->weak_prev = prev;
        prev = ref;
    }
}

void weak_fork_child(void)
{
    finalizer_table_walk(weak_mend_record, NULL);
}

/* ---- handles ---- */

static struct gc_weak *weak_alloc(void)
{
    unsigned class_no = sizeclass_of(sizeof(struct gc_weak));
    struct tcache *tc = tcache_get();
    if (tc == NULL)
        return NULL;
    struct gc_weak *weak = tcache_pop(tc, FLAVOR_GC_NOSCAN, class_no);
    if (weak != NULL)
        return weak;
    if (!tcache_refill(tc, FLAVOR_GC_NOSCAN, class_no) && !tcache_refill_new(tc, FLAVOR_GC_NOSCAN, class_no))
        return NULL;
    return tcache_pop(tc, FLAVOR_GC_NOSCAN, class_no);
}

/* 0, or what is missing; then nothing is left behind. */
static int weak_bind_locked(struct gc_weak *weak, uintptr_t obj)
{
    struct finalizer_record *target = finalizer_table_enter(obj);
    if (target == NULL)
        return ENOMEM;
    struct finalizer_record *handle = finalizer_table_enter((uintptr_t)weak);
    if (handle == NULL) {
        finalizer_table_drop_if_empty(target);
        return ENOMEM;
    }
    weak_link(handle, target);
    weak->was_asked = 0;
    STORE_ONCE(weak->hidden, ~obj);
    return 0;
}

static int weak_new_critical(uintptr_t obj, struct gc_weak **weak)
{
    if (!finalizer_is_block_start(obj))
        return EINVAL;
    *weak = weak_alloc();
    if (*weak == NULL)
        return ENOMEM;
    os_lock(&finalizer_lock);
    int error = weak_bind_locked(*weak, obj);
    os_unlock(&finalizer_lock);
    if (error != 0)
        heap_free(*weak);
    return error;
}

struct gc_weak *weak_new(void *obj, int *error)
{
    struct gc_weak *weak = NULL;
    os_critical_enter();
    STORE_ONCE(weak_was_used, true);
    *error = weak_new_critical((uintptr_t)obj, &weak);
    os_critical_leave();
    return *error == 0 ? weak : NULL;
}

void *weak_get(struct gc_weak *weak)
{
    uintptr_t hidden = LOAD_ONCE(weak->hidden);
    uintptr_t obj = ~hidden;
    __asm__ volatile("" : "+r"(obj) : : "memory"); /* the address exists from here on */
    bool is_there = hidden != 0 && LOAD_ONCE(weak->hidden) == hidden;
    if (UNLIKELY(is_there && probation_is_on()))
        STORE_ONCE(weak->was_asked, 1);
    __asm__ volatile("" : : "r"(obj) : "memory"); /* and until here */
    return is_there ? (void *)obj : NULL;
}

/* ---- links ---- */

/* 0, or what is missing; then nothing is left behind. */
static int weak_bind_link_locked(uintptr_t link, uintptr_t obj, bool is_long)
{
    struct heap_obj found;
    bool is_in_block = heap_find_object(link, &found) == HEAP_LIVE;
    struct finalizer_record *container = is_in_block ? finalizer_table_enter(found.start) : NULL;
    struct finalizer_record *target = finalizer_table_enter(obj);
    struct finalizer_record *record = finalizer_table_enter(link | FINALIZER_LINK_KEY);
    if ((is_in_block && container == NULL) || target == NULL || record == NULL) {
        struct finalizer_record *all[] = {record, container == target ? NULL : container, target};
        for (size_t i = 0; i < N_ELEMENTS(all); i++)
            if (all[i] != NULL)
                finalizer_table_drop_if_empty(all[i]);
        return ENOMEM;
    }
    record->is_link = true;
    record->is_long = is_long;
    if (container != NULL)
        STORE_ONCE(container->n_links, container->n_links + 1);
    weak_link(record, target);
    return 0;
}

static int weak_link_locked(uintptr_t link, uintptr_t obj, bool is_long)
{
    if (link % sizeof(void *) != 0 || link == 0 || !finalizer_is_block_start(obj))
        return EINVAL;
    if (finalizer_table_find(link | FINALIZER_LINK_KEY) != NULL)
        return EEXIST;
    return weak_bind_link_locked(link, obj, is_long);
}

static int weak_unlink_locked(uintptr_t link)
{
    struct finalizer_record *record = finalizer_table_find(link | FINALIZER_LINK_KEY);
    if (record == NULL)
        return EINVAL;
    weak_end_link(record);
    return 0;
}

static int weak_move_link_locked(uintptr_t from, uintptr_t to)
{
    struct finalizer_record *record = finalizer_table_find(from | FINALIZER_LINK_KEY);
    if (record == NULL)
        return EINVAL;
    int error = weak_link_locked(to, finalizer_record_of_ref(record->weak_target)->obj, record->is_long);
    return error != 0 ? error : weak_unlink_locked(from);
}

static void weak_lock_enter(void)
{
    os_critical_enter();
    os_lock(&finalizer_lock);
}

static int weak_unlock_leave(int error)
{
    os_unlock(&finalizer_lock);
    os_critical_leave();
    return error;
}

int weak_link_set(void **link, void *obj, bool is_long)
{
    weak_lock_enter();
    STORE_ONCE(weak_was_used, true);
    return weak_unlock_leave(weak_link_locked((uintptr_t)link, (uintptr_t)obj, is_long));
}

int weak_link_remove(void **link)
{
    weak_lock_enter();
    return weak_unlock_leave(weak_unlink_locked((uintptr_t)link));
}

int weak_link_move(void **from, void **to)
{
    weak_lock_enter();
    return weak_unlock_leave(weak_move_link_locked((uintptr_t)from, (uintptr_t)to));
}

void weak_end_link(struct finalizer_record *link)
{
    weak_unlink(link);
    weak_end_record(link);
}

struct weak_range {
    uintptr_t lo, hi;
};

static void weak_drop_link_inside(struct finalizer_record *r, void *ctx)
{
    const struct weak_range *range = ctx;
    uintptr_t link = finalizer_record_address(r);
    if (!r->is_link || link < range->lo || link >= range->hi)
        return;
    weak_end_link(r);
}

/* By its words or by the table, whichever is shorter. The container's record outlives this. */
void weak_forget_links_locked(struct finalizer_record *container, size_t size_bytes)
{
    struct weak_range range = {container->obj, container->obj + size_bytes};
    if (container->n_links == 0)
        return;
    container->n_pins++;
    if (size_bytes / sizeof(void *) > finalizer_table_count())
        finalizer_table_walk(weak_drop_link_inside, &range);
    else
        for (uintptr_t at = range.lo; at < range.hi; at += sizeof(void *))
            weak_unlink_locked(at);
    container->n_pins--;
}

/* ---- the phases ---- */

static struct gc_weak *weak_asked(const struct finalizer_record *r)
{
    struct gc_weak *weak = r->weak_target != 0 && !r->is_link ? (struct gc_weak *)r->obj : NULL;
    return weak != NULL && weak->was_asked != 0 ? weak : NULL;
}

static void weak_mark_asked(struct finalizer_record *r, void *ctx)
{
    const struct gc_weak *weak = weak_asked(r);
    (void)ctx;
    if (weak != NULL && probation_is_over(~weak->hidden))
        mark_addr_block(~weak->hidden);
}

void weak_mark_roots(void)
{
    if (UNLIKELY(probation_is_on()))
        finalizer_table_walk(weak_mark_asked, NULL);
}

static void weak_clear_record(struct finalizer_record *r, void *ctx)
{
    (void)ctx;
    if (r->weak_handles == 0 || !mark_is_dead(r->obj))
        return;
    weak_clear_handles(r, false);
    finalizer_table_drop_if_empty(r);
}

void weak_end_asked(const struct finalizer_record *r)
{
    struct gc_weak *weak = weak_asked(r);
    if (weak != NULL)
        weak->was_asked = 0;
}

void weak_clear(void)
{
    finalizer_table_walk(weak_clear_record, NULL);
}
