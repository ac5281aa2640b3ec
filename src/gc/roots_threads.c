/* Stacks and registers of threads; see roots_int.h.
 *
 * Dead space below a stack pointer is left out only inside the bounds recorded when the thread was created, only
 * where the stack pointer lies in them, and only in the mapping that holds the stack pointer (the main thread's
 * bounds reach down as far as its stack may grow; something else may have been mapped there since). A thread on any
 * other stack has that one read from its stack pointer to the end of the mapping by the rule of stacks, the rest by
 * the plain rule; its own stack waits, and is read whole by the rule of stacks. A stack inside a block keeps the block.
 */
#include "gc/roots_int.h"

#include "base/bits.h"
#include "gc/world.h"
#include "heap/heap.h"

static uintptr_t threads_live_lo(uintptr_t sp)
{
    return bits_round_down(sp - OS_RED_ZONE_BYTES, sizeof(uintptr_t));
}

/* A stack that the program allocated. What is live in it is read by the rule of stacks, even if it was freed
 * meanwhile. */
static bool threads_place_in_heap(uintptr_t sp)
{
    struct heap_obj obj;
    uintptr_t lo = threads_live_lo(sp);

    roots_feed_block(sp);
    roots_feed_block(sp - 1); /* a stack with nothing on it: its pointer is its block's end */
    if (heap_find_object(sp, &obj) == HEAP_NOT_A_BLOCK && heap_find_object(sp - 1, &obj) == HEAP_NOT_A_BLOCK)
        return roots_fail(SKIP_STACK_MISSING);
    lo = lo > obj.start ? lo : obj.start;
    return roots_feed_direct(ROOTS_RULE_STACK, lo, obj.start + obj.size_bytes, false);
}

/* An alternate one that is part of it is another. */
static bool threads_is_on_own_stack(uintptr_t sp, const struct os_thread *t)
{
    return t != NULL && t->stack_lo < sp && sp <= t->stack_hi && !(t->inner_lo < sp && sp <= t->inner_hi);
}

/* What the stop handler left on our alternate stack: the frame of a stopped thread is read by itself, and nothing else lies
 * there but while a handler of the program's runs on it. */
static void threads_place_altstack(uintptr_t sp, const struct os_thread *t)
{
    uintptr_t lo = t != NULL ? (uintptr_t)t->altstack : 0;

    if (lo != 0 && !(lo <= sp && sp <= lo + os_altstack_size()))
        roots_zones_add(&roots.threads, lo, lo + os_altstack_size(), ROOTS_ZONE_DEAD);
}

/* pre: sp is the stack pointer of a thread that stands still, or the caller's. */
static bool threads_place(uintptr_t sp, const struct os_thread *t)
{
    uintptr_t live_lo = threads_live_lo(sp);
    struct roots_map *m;

    if (heap_contains(sp) || heap_contains(sp - 1))
        return threads_place_in_heap(sp);
    m = roots_maps_find(sp);
    if (m == NULL)
        m = roots_maps_find(sp - 1); /* nothing is on this stack */
    if (m == NULL)
        return roots_fail(SKIP_STACK_MISSING);
    if (!roots_map_is_root(m))
        m->kind = ROOTS_MAP_SHARED; /* a stack is a root wherever it lies */
    if (threads_is_on_own_stack(sp, t)) {
        roots_zones_add(&roots.threads, t->stack_lo > m->lo ? t->stack_lo : m->lo, live_lo, ROOTS_ZONE_DEAD);
        roots_zones_add(&roots.threads, live_lo, t->stack_hi, ROOTS_ZONE_STACK);
    } else {
        roots_zones_add(&roots.threads, live_lo, m->hi, ROOTS_ZONE_STACK);
    }
    return true;
}

/* While a thread is on another stack (a handler's, a coroutine's), nobody knows how deep its own one is, but where a request is
 * served on the alternate one. */
static bool threads_place_all(uintptr_t sp, const struct os_thread *t)
{
    if (t != NULL && !threads_is_on_own_stack(sp, t)) {
        if (threads_is_on_own_stack(t->asked_sp, t))
            return threads_place(sp, t) && threads_place(t->asked_sp, t);
        roots_zones_add(&roots.threads, t->stack_lo, t->stack_hi, ROOTS_ZONE_STACK);
    }
    return threads_place(sp, t);
}

static bool threads_place_slot(const struct os_stop_slot *slot)
{
    bool is_published = slot->state == OS_STOP_PUBLISHED;
    uintptr_t sp = is_published ? slot->thread->published_sp : slot->sp;

    if (!is_published && slot->state != OS_STOP_STOPPED)
        return true;
    threads_place_altstack(sp, slot->thread);
    return threads_place_all(sp, slot->thread);
}

/* Two threads on one stack, or bounds that are out of date: all of it is read by the rule of stacks. */
bool roots_threads_place(void)
{
    if (!threads_place_all(roots.caller_sp, os_tls.thread))
        return false;
    for (size_t i = 0; i < world_n_slots(); i++)
        if (!threads_place_slot(world_slot(i)))
            return false;
    threads_place_altstack(roots.caller_sp, os_tls.thread);
    for (const struct os_thread *t = os_thread_first_free(); t != NULL; t = t->next)
        threads_place_altstack(0, t);
    roots_zones_seal(&roots.threads, ROOTS_ZONE_STACK);
    return true;
}

/* The frame of the stop handler: all registers, and the alternate stack that the kernel knows of. It may lie in the
 * dead space of the thread's stack, on an alternate stack, or in a block, which is then kept by the stack pointer or by the
 * kernel's word of the alternate stack in this very frame. */
static bool threads_scan_stopped(const struct os_stop_slot *slot)
{
    return roots_feed_direct(ROOTS_RULE_STACK, bits_round_down(slot->frame_lo, sizeof(uintptr_t)), slot->frame_hi,
                             false);
}

bool roots_threads_scan(void)
{
    for (size_t i = 0; i < world_n_slots(); i++)
        if (world_slot(i)->state == OS_STOP_STOPPED && !threads_scan_stopped(world_slot(i)))
            return false;
    return true;
}
