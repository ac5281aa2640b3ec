/* See weak.h. A handle's first word is the complement of its target's address, 0 once the target is gone.
 *
 * The race with a cycle. weak_get reads the word, makes the address of it, and reads the word again. A stop
 * before the address exists may find the target unreachable; then the second read sees 0. A stop after it
 * finds the address in a register or on the stack.
 */
#include "gc/weak.h"

#include <errno.h>

#include "base/counters.h"
#include "gc/finalizer_table.h"
#include "gc/mark.h"
#include "heap/heap.h"
#include "heap/meta.h"
#include "os/critical_inl.h"

struct gc_weak {
    uintptr_t hidden;
    uintptr_t reserved; /* 0 */
};

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
static void weak_unlink(struct finalizer_record *handle)
{
    struct finalizer_record *target = finalizer_record_of_ref(handle->weak_target);
    struct finalizer_record *prev = finalizer_record_of_ref(handle->weak_prev);
    struct finalizer_record *next = finalizer_record_of_ref(handle->weak_next);
    STORE_ONCE(*(prev == NULL ? &target->weak_handles : &prev->weak_next), handle->weak_next);
    if (next != NULL)
        next->weak_prev = handle->weak_prev;
    handle->weak_target = 0;
    finalizer_table_drop_if_empty(target);
}

static void weak_clear_handles(struct finalizer_record *target)
{
    while (target->weak_handles != 0) {
        struct finalizer_record *handle = finalizer_record_of_ref(target->weak_handles);
        STORE_ONCE(((struct gc_weak *)handle->obj)->hidden, 0);
        STORE_ONCE(target->weak_handles, handle->weak_next);
        handle->weak_target = 0;
        finalizer_table_drop_if_empty(handle);
        counter_add(COUNTER_WEAK_CLEARED, 1);
    }
}

void weak_forget_locked(struct finalizer_record *r)
{
    weak_clear_handles(r);
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
    weak->reserved = 0;
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
    __asm__ volatile("" : : "r"(obj) : "memory"); /* and until here */
    return is_there ? (void *)obj : NULL;
}

/* ---- the phase ---- */

static void weak_clear_record(struct finalizer_record *r, void *ctx)
{
    (void)ctx;
    if (r->weak_handles == 0 || !mark_is_dead(r->obj))
        return;
    weak_clear_handles(r);
    finalizer_table_drop_if_empty(r);
}

void weak_clear(void)
{
    finalizer_table_walk(weak_clear_record, NULL);
}
