/* See finalizer_table.h. */
#include "gc/finalizer_table.h"

#include "base/check.h"
#include "base/compiler.h"
#include "heap/heap.h"
#include "heap/layout.h"
#include "heap/meta.h"

enum {
    TABLE_MIN_SLOTS = 1024,
};
#define TABLE_GONE UINT32_MAX /* a slot whose record left: a search goes on behind it */
#define TABLE_HASH UINT64_C(0x9E3779B97F4A7C15)

struct finalizer_slots {
    size_t n_slots; /* power of two */
    uint32_t refs[];
};

struct os_lock finalizer_lock = OS_LOCK_INIT(OS_RANK_FIN);
static struct {
    struct finalizer_slots *slots;
    size_t n_records;
    size_t n_taken;  /* slots that are not 0: records and gone ones */
    uint32_t unused; /* records, through queue_next */
    bool has_dropped; /* records, since the spans were settled */
} table;

struct finalizer_record *finalizer_record_of_ref(uint32_t ref)
{
    return ref == 0 ? NULL : (struct finalizer_record *)span_of_ref(ref);
}

/* Each part of a shared block may have a record of its own, under its own address. */
bool finalizer_is_block_start(uintptr_t obj)
{
    struct heap_obj found;
    if (heap_find_object(obj, &found) != HEAP_LIVE)
        return false;
    return found.span->flavor == FLAVOR_GC_TINY ? layout_is_part(found.span, obj) : found.start == obj;
}

/* ---- records ---- */

struct finalizer_record *finalizer_record_new(void)
{
    struct finalizer_record *r = finalizer_record_of_ref(table.unused);
    if (r == NULL)
        return meta_alloc(sizeof(*r));
    STORE_ONCE(table.unused, r->queue_next);
    *r = (struct finalizer_record){0};
    return r;
}

void finalizer_record_free(struct finalizer_record *r)
{
    r->queue_next = table.unused;
    STORE_ONCE(table.unused, meta_ref(r));
}

/* ---- slots ---- */

static size_t table_first_slot(const struct finalizer_slots *t, uintptr_t obj)
{
    return ((obj / SIZECLASS_ALIGN) * TABLE_HASH >> 20) & (t->n_slots - 1);
}

/* The slot that holds obj's record, or NULL. */
static uint32_t *table_find_slot(uintptr_t obj)
{
    struct finalizer_slots *t = table.slots;
    if (t == NULL)
        return NULL;
    for (size_t i = table_first_slot(t, obj); t->refs[i] != 0; i = (i + 1) & (t->n_slots - 1))
        if (t->refs[i] != TABLE_GONE && finalizer_record_of_ref(t->refs[i])->obj == obj)
            return &t->refs[i];
    return NULL;
}

struct finalizer_record *finalizer_table_find(uintptr_t obj)
{
    uint32_t *slot = table_find_slot(obj);
    return slot == NULL ? NULL : finalizer_record_of_ref(*slot);
}

/* pre: some slot is 0 or gone, and obj is not in it. true: a slot that was 0 is taken. */
static bool table_put(struct finalizer_slots *t, uint32_t ref)
{
    size_t i = table_first_slot(t, finalizer_record_of_ref(ref)->obj);
    while (t->refs[i] != 0 && t->refs[i] != TABLE_GONE)
        i = (i + 1) & (t->n_slots - 1);
    bool was_empty = t->refs[i] == 0;
    __atomic_store_n(&t->refs[i], ref, __ATOMIC_RELEASE);
    return was_empty;
}

static size_t table_bytes(size_t n_slots)
{
    return sizeof(struct finalizer_slots) + n_slots * sizeof(uint32_t);
}

/* A new table without the gone slots, at most a third full. false: no memory. */
static bool table_rebuild(void)
{
    struct finalizer_slots *old = table.slots;
    size_t n_slots = TABLE_MIN_SLOTS, n_taken = 0;
    while (n_slots < (table.n_records + 1) * 3)
        n_slots *= 2;
    struct finalizer_slots *fresh = meta_alloc(table_bytes(n_slots));
    if (fresh == NULL)
        return false;
    fresh->n_slots = n_slots;
    for (size_t i = 0; old != NULL && i < old->n_slots; i++)
        if (old->refs[i] != 0 && old->refs[i] != TABLE_GONE)
            n_taken += table_put(fresh, old->refs[i]);
    __atomic_store_n(&table.slots, fresh, __ATOMIC_RELEASE);
    table.n_taken = n_taken;
    if (old != NULL)
        meta_free(old, table_bytes(old->n_slots));
    return true;
}

/* At most two thirds full, gone slots included. */
static bool table_make_room(void)
{
    return (table.slots != NULL && (table.n_taken + 1) * 3 <= table.slots->n_slots * 2) || table_rebuild();
}

/* A link is found by its container's record. */
static void table_mark_span(const struct finalizer_record *r)
{
    if ((r->obj & FINALIZER_LINK_KEY) == 0)
        span_flag_set(span_of_ref(slice_of(r->obj)->span), SPAN_SPECIAL);
}

struct finalizer_record *finalizer_table_enter(uintptr_t obj)
{
    struct finalizer_record *r = finalizer_table_find(obj);
    if (r != NULL)
        return r;
    if (!table_make_room() || (r = finalizer_record_new()) == NULL)
        return NULL;
    r->obj = obj;
    table_mark_span(r);
    table.n_taken += table_put(table.slots, meta_ref(r));
    table.n_records++;
    return r;
}

void finalizer_table_remove(struct finalizer_record *r)
{
    uint32_t *slot = table_find_slot(r->obj);
    ASSERT(slot != NULL);
    STORE_ONCE(*slot, TABLE_GONE);
    table.n_records--;
    table.has_dropped = true;
}

void finalizer_table_drop_if_empty(struct finalizer_record *r)
{
    if (r->state != FINALIZER_NONE || r->cleanups != 0 || r->weak_handles != 0 || r->weak_target != 0 ||
        r->n_pins != 0 || r->n_links != 0)
        return;
    finalizer_table_remove(r);
    finalizer_record_free(r);
}

void finalizer_table_walk(void (*fn)(struct finalizer_record *r, void *ctx), void *ctx)
{
    struct finalizer_slots *t = table.slots;
    for (size_t i = 0; t != NULL && i < t->n_slots; i++)
        if (t->refs[i] != 0 && t->refs[i] != TABLE_GONE)
            fn(finalizer_record_of_ref(t->refs[i]), ctx);
}

static void table_mark_span_of(struct finalizer_record *r, void *ctx)
{
    (void)ctx;
    table_mark_span(r);
}

static void table_unmark_span(struct span *s, void *ctx)
{
    (void)ctx;
    if ((span_flags(s) & SPAN_SPECIAL) != 0)
        span_flag_clear(s, SPAN_SPECIAL);
}

void finalizer_table_settle_spans(void)
{
    if (!table.has_dropped)
        return;
    table.has_dropped = false;
    heap_walk_spans(table_unmark_span, NULL);
    finalizer_table_walk(table_mark_span_of, NULL);
}

size_t finalizer_table_count(void)
{
    return LOAD_ONCE(table.n_records);
}

/* Counts and the list of unused records may be one behind; the slots are the truth. Unused records are given
 * up: one of them may just have been taken. */
void finalizer_table_fork_child(void)
{
    struct finalizer_slots *t = table.slots;
    os_lock_reset(&finalizer_lock);
    table.unused = 0;
    table.n_records = table.n_taken = 0;
    table.has_dropped = true;
    for (size_t i = 0; t != NULL && i < t->n_slots; i++) {
        table.n_taken += t->refs[i] != 0;
        table.n_records += t->refs[i] != 0 && t->refs[i] != TABLE_GONE;
    }
}
