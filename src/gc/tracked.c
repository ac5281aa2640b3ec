/* See tracked.h. Open addressing; a removed record leaves a hole that keeps the chain whole until the table is rebuilt.
 * A bigger table is filled before the one store that publishes it, and a record before its address. */
#include "gc/tracked.h"

#include <string.h>

#include "base/compiler.h"
#include "heap/heap.h"
#include "heap/meta.h"
#include "os/critical_inl.h"
#include "os/os.h"

enum { TRACKED_SLOTS_MIN = 1 << 12, TRACKED_LEAKED_CYCLES = 2 };
#define TRACKED_HOLE ((uintptr_t)1)

struct tracked_record {
    uintptr_t start; /* 0: never used; TRACKED_HOLE: removed */
    size_t size_bytes;
    struct site *site;
    bool may_leak;
    uint8_t n_unmarked; /* complete cycles running that did not reach it, up to TRACKED_LEAKED_CYCLES */
    bool is_indirect;   /* some other unreachable block points to it */
    bool is_taken;      /* by the last cycle: what is alive at its address now is another block */
};

struct tracked_table {
    size_t n_slots; /* power of two */
    size_t n_used;  /* holes included */
    struct tracked_record slots[];
};

static struct {
    struct os_lock lock;
    struct tracked_table *table; /* TRACKED */
    size_t n_blocks;             /* TRACKED */
    uint64_t n_lost;
    size_t n_unreachable;        /* records, by the last cycle */
    bool is_any, wants_leaks;
} tracked = {.lock = OS_LOCK_INIT(OS_RANK_TRACKED)};

/* ---- the table ---- */

static size_t tracked_slot_of(const struct tracked_table *t, uintptr_t start)
{
    return (start >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 20 & (t->n_slots - 1);
}

static struct tracked_record *tracked_find(struct tracked_table *t, uintptr_t start)
{
    if (t == NULL)
        return NULL;
    for (size_t i = tracked_slot_of(t, start);; i = (i + 1) & (t->n_slots - 1)) {
        if (t->slots[i].start == start)
            return &t->slots[i];
        if (t->slots[i].start == 0)
            return NULL;
    }
}

static void tracked_enter(struct tracked_table *t, const struct tracked_record *r)
{
    size_t i = tracked_slot_of(t, r->start);

    while (t->slots[i].start > TRACKED_HOLE)
        i = (i + 1) & (t->n_slots - 1);
    t->n_used += t->slots[i].start == 0;
    struct tracked_record *slot = &t->slots[i];
    slot->size_bytes = r->size_bytes;
    slot->site = r->site;
    slot->may_leak = r->may_leak;
    slot->n_unmarked = r->n_unmarked;
    slot->is_indirect = r->is_indirect;
    slot->is_taken = r->is_taken;
    __atomic_store_n(&slot->start, r->start, __ATOMIC_RELEASE);
}

static size_t tracked_bytes(size_t n_slots)
{
    return sizeof(struct tracked_table) + n_slots * sizeof(struct tracked_record);
}

/* A table with room for one more; the old one stays where there is no memory for a new one. */
static bool tracked_make_room_locked(void)
{
    struct tracked_table *old = tracked.table, *t;
    size_t n_slots = TRACKED_SLOTS_MIN;

    if (old != NULL && old->n_used + 1 <= old->n_slots / 4 * 3)
        return true;
    while (n_slots / 2 <= tracked.n_blocks)
        n_slots *= 2;
    t = meta_alloc(tracked_bytes(n_slots));
    if (t == NULL)
        return false;
    t->n_slots = n_slots;
    for (size_t i = 0; old != NULL && i < old->n_slots; i++)
        if (old->slots[i].start > TRACKED_HOLE)
            tracked_enter(t, &old->slots[i]);
    __atomic_store_n(&tracked.table, t, __ATOMIC_RELEASE);
    if (old != NULL)
        meta_free(old, tracked_bytes(old->n_slots));
    return true;
}

static void tracked_drop(struct tracked_record *r)
{
    STORE_ONCE(r->start, TRACKED_HOLE);
    tracked.n_blocks--;
}

/* ---- figures ---- */

static void tracked_count(const struct tracked_record *r, enum site_figure figure, bool is_more)
{
    site_add(r->site, figure, is_more ? 1 : -UINT64_C(1), is_more ? r->size_bytes : -r->size_bytes);
}

static void tracked_count_leaked(const struct tracked_record *r, bool is_more)
{
    if (r->may_leak && r->n_unmarked == TRACKED_LEAKED_CYCLES)
        tracked_count(r, r->is_indirect ? SITE_LEAKED_INDIRECT : SITE_LEAKED, is_more);
}

/* What the last cycle said of a block that is freed or reached after all is taken back. */
static void tracked_forgive(const struct tracked_record *r)
{
    if (r->n_unmarked == 0)
        return;
    tracked_count(r, SITE_UNREACHABLE, false);
    tracked_count(r, SITE_EVER_UNREACHABLE, false);
    tracked_count_leaked(r, false);
}

/* The collector took the block, and nobody has freed it since. */
static void tracked_lose(struct tracked_record *r)
{
    if (r->n_unmarked != 0)
        tracked_count(r, SITE_UNREACHABLE, false);
    if (r->n_unmarked != 0 && r->may_leak)
        tracked_count(r, r->is_indirect ? SITE_TAKEN_INDIRECT : SITE_TAKEN, true);
    tracked_count_leaked(r, false);
    tracked_count(r, SITE_FREED, true);
    tracked_drop(r);
}

/* ---- blocks come and go ---- */

static bool tracked_is_live(const struct tracked_record *r)
{
    struct heap_obj obj;

    return heap_find_object(r->start, &obj) == HEAP_LIVE && obj.start == r->start;
}

void tracked_add(uintptr_t start, const struct tracked_block *block)
{
    struct tracked_record fresh = {
        .start = start, .size_bytes = block->size_bytes, .site = block->site, .may_leak = block->may_leak};
    struct tracked_record *before;

    STORE_ONCE(tracked.is_any, true);
    site_add(block->site, SITE_ALLOCATED, block->weight, block->weight * block->size_bytes);
    os_lock(&tracked.lock);
    before = tracked_find(tracked.table, start);
    if (before != NULL)
        tracked_lose(before); /* its slot is handed out again */
    if (tracked_make_room_locked()) {
        tracked_enter(tracked.table, &fresh);
        tracked.n_blocks++;
    } else {
        tracked.n_lost++;
        site_add(block->site, SITE_FREED, 1, block->size_bytes);
    }
    /* Of the samples that the block stands for, the others are gone already. */
    site_add(block->site, SITE_FREED, block->weight - 1, (block->weight - 1) * block->size_bytes);
    os_unlock(&tracked.lock);
}

struct tracked_block tracked_remove(uintptr_t start)
{
    struct tracked_block block = {0};
    struct tracked_record *r;

    os_lock(&tracked.lock);
    r = tracked_find(tracked.table, start);
    if (r != NULL && r->is_taken && tracked_is_live(r)) {
        tracked_lose(r); /* its slot was handed out again, unseen, and that block is freed */
    } else if (r != NULL) {
        block = (struct tracked_block){r->site, r->size_bytes, 1, r->may_leak};
        tracked_forgive(r);
        tracked_count(r, SITE_FREED, true);
        tracked_drop(r);
    }
    os_unlock(&tracked.lock);
    return block;
}

void tracked_resize(uintptr_t start, size_t size_bytes)
{
    struct tracked_record *r;

    os_lock(&tracked.lock);
    r = tracked_find(tracked.table, start);
    if (r != NULL && r->n_unmarked == 0) {
        site_add(r->site, SITE_ALLOCATED, 0, size_bytes - r->size_bytes);
        r->size_bytes = size_bytes;
    }
    os_unlock(&tracked.lock);
}

bool tracked_is_any(void)
{
    return LOAD_ONCE(tracked.is_any);
}

uint64_t tracked_n_lost(void)
{
    return LOAD_ONCE(tracked.n_lost);
}

void tracked_want_leaks(void)
{
    tracked.wants_leaks = true;
}

/* ---- the judgement; world stopped ---- */

/* Each record, with what was found at its address. fn may drop it. */
static void tracked_walk(void (*fn)(struct tracked_record *r))
{
    struct tracked_table *t = tracked.table;

    for (size_t i = 0; t != NULL && i < t->n_slots; i++)
        if (t->slots[i].start > TRACKED_HOLE)
            fn(&t->slots[i]);
}

static bool tracked_is_marked(const struct heap_obj *obj)
{
    return (obj->span->words[obj->idx >> 6].mark >> (obj->idx & 63) & 1) != 0;
}

static void tracked_judge_block(struct tracked_record *r)
{
    struct heap_obj obj;

    if (r->is_taken || heap_find_object(r->start, &obj) != HEAP_LIVE || obj.start != r->start) {
        tracked_lose(r);
        return;
    }
    if (tracked_is_marked(&obj)) {
        if (r->n_unmarked != 0)
            tracked_count(r, SITE_EVER_UNREACHABLE, false);
        r->n_unmarked = 0;
        return;
    }
    if (r->n_unmarked == 0)
        tracked_count(r, SITE_EVER_UNREACHABLE, true);
    if (r->n_unmarked < TRACKED_LEAKED_CYCLES)
        r->n_unmarked++;
    r->is_indirect = false;
}

/* A block that only reaches itself is nobody else's. */
static void tracked_note_word(const struct tracked_record *from, uintptr_t word)
{
    struct heap_obj obj;
    struct tracked_record *to;

    if (heap_find_object(word, &obj) != HEAP_LIVE || obj.start == from->start)
        return;
    to = tracked_find(tracked.table, obj.start);
    if (to != NULL && to->n_unmarked != 0)
        to->is_indirect = true;
}

/* Where the marker looks for words. */
static void tracked_scan_block(void *record)
{
    const struct tracked_record *r = record;
    unsigned flavor = slice_of(r->start)->flavor;
    size_t step = flavor == FLAVOR_MALLOC ? sizeof(uint32_t) : sizeof(uintptr_t);

    if (flavor_is_noscan(flavor))
        return;
    for (uintptr_t at = r->start, word; at + sizeof(word) <= r->start + r->size_bytes; at += step) {
        memcpy(&word, (const void *)at, sizeof(word));
        if (heap_contains(word))
            tracked_note_word(r, word);
    }
}

/* The program may have protected pages of its blocks. */
static void tracked_follow(struct tracked_record *r)
{
    uintptr_t fault_addr;

    if (r->n_unmarked != 0)
        (void)os_fault_guard(tracked_scan_block, r, &fault_addr);
}

static void tracked_sum(struct tracked_record *r)
{
    if (r->n_unmarked == 0)
        return;
    tracked.n_unreachable++;
    tracked_count(r, SITE_UNREACHABLE, true);
    tracked_count_leaked(r, true);
}

static void tracked_note_one_taken(struct tracked_record *r)
{
    r->is_taken = r->n_unmarked != 0 && !tracked_is_live(r);
}

void tracked_note_taken(void)
{
    if (tracked.n_unreachable != 0)
        tracked_walk(tracked_note_one_taken);
}

void tracked_judge(void)
{
    if (!tracked.is_any)
        return;
    tracked_walk(tracked_judge_block);
    if (tracked.wants_leaks)
        tracked_walk(tracked_follow);
    for (struct site *s = site_newest(); s != NULL; s = s->older) {
        site_reset(s, SITE_UNREACHABLE);
        site_reset(s, SITE_LEAKED);
        site_reset(s, SITE_LEAKED_INDIRECT);
    }
    tracked.n_unreachable = 0;
    tracked_walk(tracked_sum);
}

struct site *tracked_site_of(uintptr_t start)
{
    const struct tracked_record *r = tracked_find(tracked.table, start);

    return r != NULL && !r->is_taken ? r->site : NULL;
}

void tracked_fork_child(void)
{
    os_lock_reset(&tracked.lock);
}
