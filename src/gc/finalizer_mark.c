/* The phases of a cycle that concern finalizers; see finalizer.h.
 *
 * Rule. A finalizer is due when the roots do not reach its block, and neither does any block that is itself
 * waiting for a finalizer, its own block included. So what such blocks hold is marked, but not the blocks
 * themselves: those still unmarked afterwards are due. Where A reaches B and both have finalizers, A's is
 * due now and B's in a later cycle. Blocks that reach themselves are never due.
 */
#include "base/counters.h"
#include "gc/finalizer.h"
#include "gc/finalizer_table.h"
#include "gc/mark.h"
#include "gc/mark_filter.h"
#include "gc/weak.h"
#include "heap/heap.h"

enum { FINALIZER_MAX_ARG_ROUNDS = 16 };

static void finalizer_mark_arg(const struct finalizer_record *r)
{
    mark_words((uintptr_t)&r->arg, (uintptr_t)(&r->arg + 1));
}

static bool finalizer_is_waiting(const struct finalizer_record *r)
{
    return r->state == FINALIZER_SET;
}

/* ---- roots ---- */

static void finalizer_mark_root_record(struct finalizer_record *r, void *ctx)
{
    (void)ctx;
    r->was_unmarked = r->is_arg_marked = false;
    if (r->n_pins != 0)
        mark_addr_block(r->obj);
    for (const struct finalizer_record *c = finalizer_record_of_ref(r->cleanups); c != NULL;
         c = finalizer_record_of_ref(c->queue_next))
        finalizer_mark_arg(c);
}

void finalizer_mark_roots(void)
{
    finalizer_table_walk(finalizer_mark_root_record, NULL);
    finalizer_queue_mark();
}

/* ---- arguments: as if the block pointed to them ---- */

struct finalizer_arg_walk {
    size_t n_marked;
    bool is_all; /* of unmarked blocks too */
};

static void finalizer_mark_arg_of_marked(struct finalizer_record *r, void *ctx)
{
    struct finalizer_arg_walk *walk = ctx;
    if (!finalizer_is_waiting(r) || r->is_arg_marked || !(walk->is_all || mark_is_marked(r->obj)))
        return;
    r->is_arg_marked = true;
    finalizer_mark_arg(r);
    walk->n_marked++;
}

/* An argument may reach a block whose own argument then counts. A long chain of these is cut: all arguments
 * are marked, which keeps more for a cycle, and never less. */
bool finalizer_mark_args(void)
{
    struct finalizer_arg_walk walk = {0};
    for (int round = 0; round <= FINALIZER_MAX_ARG_ROUNDS; round++) {
        walk.n_marked = 0;
        walk.is_all = round == FINALIZER_MAX_ARG_ROUNDS;
        finalizer_table_walk(finalizer_mark_arg_of_marked, &walk);
        if (walk.n_marked == 0)
            return true;
        if (!mark_drain())
            return false;
    }
    return true;
}

/* ---- what waiting blocks hold ---- */

static void finalizer_note_unmarked(struct finalizer_record *r, void *ctx)
{
    (void)ctx;
    r->was_unmarked = finalizer_is_waiting(r) && mark_is_dead(r->obj);
}

/* Words of the block that lead elsewhere. A layout is not asked: what it leaves out is kept for longer, at most. */
static void finalizer_mark_all_but_self(void *arg)
{
    const struct heap_obj *obj = arg;
    uintptr_t end = obj->start + obj->size_bytes;
    for (uintptr_t at = obj->start; at + sizeof(uintptr_t) <= end; at += sizeof(uintptr_t))
        if ((*(const uintptr_t *)at & MARK_ADDRESS_MASK) - obj->start >= obj->size_bytes)
            mark_words(at, at + sizeof(uintptr_t));
}

/* Where pages cannot be read, self or not: the marker knows how to read them. */
static void finalizer_mark_content(const struct finalizer_record *r)
{
    struct heap_obj obj;
    uintptr_t fault_addr;
    if (r->order == FINALIZER_ORDERED_BUT_SELF && heap_find_object(r->obj, &obj) == HEAP_LIVE &&
        (flavor_is_noscan(obj.span->flavor) || os_fault_guard(finalizer_mark_all_but_self, &obj, &fault_addr)))
        return;
    mark_block_content(r->obj);
}

static void finalizer_mark_held(struct finalizer_record *r, void *ctx)
{
    (void)ctx;
    if (!r->was_unmarked || r->order == FINALIZER_UNORDERED)
        return;
    finalizer_mark_content(r);
    finalizer_mark_arg(r);
}

/* Who is unmarked is settled for all before anything is marked. */
void finalizer_mark_reachable(void)
{
    finalizer_table_walk(finalizer_note_unmarked, NULL);
    finalizer_table_walk(finalizer_mark_held, NULL);
}

/* ---- who is due ---- */

static void finalizer_queue_due(struct finalizer_record *r, void *ctx)
{
    struct finalizer_split_result *result = ctx;
    if (!r->was_unmarked)
        return;
    if (mark_is_marked(r->obj) && r->order != FINALIZER_UNORDERED) {
        result->n_cyclic++;
        return;
    }
    r->state = FINALIZER_QUEUED;
    finalizer_queue_put(r);
    result->n_queued++;
}

static void finalizer_note_cyclic(struct finalizer_record *r, void *ctx)
{
    struct finalizer_split_result *result = ctx;
    if (!r->was_unmarked || r->is_cyclic)
        return;
    r->is_cyclic = true;
    finalizer_note_first_cyclic(r->fn);
    result->n_cyclic_new++;
}

static void finalizer_hold_queued(struct finalizer_record *r, void *ctx)
{
    (void)ctx;
    if (r->state == FINALIZER_QUEUED) {
        mark_addr_block(r->obj);
        finalizer_mark_arg(r);
    }
}

static void finalizer_queue_cleanups(struct finalizer_record *r, struct finalizer_split_result *result)
{
    while (r->cleanups != 0) {
        struct finalizer_record *c = finalizer_record_of_ref(r->cleanups);
        r->cleanups = c->queue_next;
        finalizer_queue_put(c);
        result->n_cleanups++;
    }
}

/* A link may lie where nothing is ever collected. */
static bool finalizer_is_alive(const struct finalizer_record *r)
{
    uintptr_t addr = finalizer_record_address(r);
    return (r->is_link && !heap_contains(addr)) || !mark_is_dead(addr);
}

/* A block that is dead goes now, and with it its record. */
static void finalizer_end_dead(struct finalizer_record *r, void *ctx)
{
    if (finalizer_is_alive(r)) {
        weak_end_asked(r);
        return;
    }
    if (r->is_link) {
        weak_end_link(r);
        return;
    }
    finalizer_queue_cleanups(r, ctx);
    weak_forget_locked(r);
    finalizer_table_drop_if_empty(r);
}

struct finalizer_split_result finalizer_split(void)
{
    struct finalizer_split_result result = {0};
    finalizer_table_walk(finalizer_queue_due, &result);
    finalizer_table_walk(finalizer_hold_queued, NULL);
    /* While some are due, those that they hold wait for their turn; when none is, the rest wait for each
     * other. */
    if (result.n_queued != 0)
        result.n_cyclic = 0;
    else if (result.n_cyclic != 0)
        finalizer_table_walk(finalizer_note_cyclic, &result);
    counter_add(COUNTER_FINALIZERS_QUEUED, result.n_queued);
    return result;
}

void finalizer_end(struct finalizer_split_result *result)
{
    finalizer_table_walk(finalizer_end_dead, result);
    finalizer_table_settle_spans();
}
