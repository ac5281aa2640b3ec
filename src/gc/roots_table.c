/* Ranges that the program added to the roots or excluded from them; see roots.h.
 *
 * What        two tables by a range's lower end, because coroutines exclude their stacks and take them back at every switch.
 * Invariants  a slot is in use while its hi is not 0, which is stored last and cleared first, and a larger table is published
 *             by one store: so a fork child finds every range whole. A slot with lo and no hi was in use: a search goes on.
 * Locks       FIN for changes. The collector reads in the stopped world, where nobody is in a critical section.
 */
#include "gc/roots_int.h"

#include <errno.h>

#include "base/bits.h"
#include "base/check.h"
#include "base/compiler.h"
#include "heap/heap.h"
#include "heap/meta.h"
#include "os/critical_inl.h"

enum { TABLE_SLOTS_MIN = 16 };
#define TABLE_HASH UINT64_C(0x9E3779B97F4A7C15)

struct table_slots {
    size_t n_slots; /* power of two */
    struct roots_range ranges[];
};
struct table {
    struct table_slots *slots; /* NULL: none ever */
    size_t n_in_use, n_taken;  /* taken: in use, or were */
};
static struct {
    struct os_lock lock;
    struct table added, excluded;
} table_state = {.lock = OS_LOCK_INIT(OS_RANK_FIN)};

static size_t table_bytes(size_t n_slots)
{
    return sizeof(struct table_slots) + n_slots * sizeof(struct roots_range);
}

static struct roots_range *table_probe(struct table_slots *slots, uintptr_t lo, size_t step)
{
    return &slots->ranges[((lo * TABLE_HASH >> 32) + step) & (slots->n_slots - 1)];
}

/* pre: a slot is free. true: one that never was in use. */
static bool table_put(struct table_slots *slots, struct roots_range range)
{
    struct roots_range *slot = table_probe(slots, range.lo, 0);

    for (size_t step = 1; slot->hi != 0; step++)
        slot = table_probe(slots, range.lo, step);
    bool is_new = slot->lo == 0;
    slot->lo = range.lo;
    __atomic_store_n(&slot->hi, range.hi, __ATOMIC_RELEASE);
    return is_new;
}

/* The next range in use from slot *at on; NULL: none. */
static const struct roots_range *table_next(const struct table *t, size_t *at)
{
    while (t->slots != NULL && *at < t->slots->n_slots) {
        const struct roots_range *range = &t->slots->ranges[(*at)++];
        if (range->hi != 0)
            return range;
    }
    return NULL;
}

static bool table_grow_locked(struct table *t)
{
    struct table_slots *old = t->slots, *fresh;
    const struct roots_range *range;
    size_t n_slots = TABLE_SLOTS_MIN;

    while (n_slots / 2 <= t->n_in_use)
        n_slots *= 2;
    fresh = meta_alloc(table_bytes(n_slots));
    if (fresh == NULL)
        return false;
    fresh->n_slots = n_slots;
    for (size_t at = 0; (range = table_next(t, &at)) != NULL;)
        table_put(fresh, *range);
    t->n_taken = t->n_in_use;
    __atomic_store_n(&t->slots, fresh, __ATOMIC_RELEASE);
    if (old != NULL)
        meta_free(old, table_bytes(old->n_slots));
    return true;
}

/* A quarter of the slots was never in use, so that each search ends. */
static int table_insert_locked(struct table *t, struct roots_range range)
{
    os_lock_assert_held(&table_state.lock);
    if ((t->slots == NULL || t->n_taken >= t->slots->n_slots / 4 * 3) && !table_grow_locked(t))
        return ENOMEM;
    t->n_taken += table_put(t->slots, range);
    t->n_in_use++;
    return 0;
}

static int table_delete_locked(struct table *t, struct roots_range range)
{
    os_lock_assert_held(&table_state.lock);
    for (size_t step = 0; t->slots != NULL; step++) {
        struct roots_range *slot = table_probe(t->slots, range.lo, step);
        if (slot->lo == 0)
            break;
        if (slot->lo != range.lo || slot->hi != range.hi)
            continue;
        STORE_ONCE(slot->hi, 0);
        t->n_in_use--;
        return 0;
    }
    return EINVAL;
}

static int table_change(int (*change)(struct table *, struct roots_range), struct table *where, void *start,
                        size_t size_bytes)
{
    struct roots_range range = {(uintptr_t)start, (uintptr_t)start + size_bytes};
    int err;

    if (range.lo == 0 || range.hi <= range.lo)
        return EINVAL;
    os_critical_enter();
    os_lock(&table_state.lock);
    err = change(where, range);
    os_unlock(&table_state.lock);
    os_critical_leave();
    return err;
}

int roots_add(void *start, size_t size_bytes)
{
    return table_change(table_insert_locked, &table_state.added, start, size_bytes);
}

int roots_remove(void *start, size_t size_bytes)
{
    int err = table_change(table_delete_locked, &table_state.added, start, size_bytes);

    return err == EINVAL ? table_change(table_delete_locked, &table_state.excluded, start, size_bytes) : err;
}

int roots_exclude(void *start, size_t size_bytes)
{
    return table_change(table_insert_locked, &table_state.excluded, start, size_bytes);
}

size_t roots_table_n_excluded(void)
{
    size_t n;

    os_lock(&table_state.lock);
    n = table_state.excluded.n_in_use + HEAP_N_OWN_WORDS;
    os_unlock(&table_state.lock);
    return n;
}

/* A word that is excluded only in part is read: inwards to whole words. */
void roots_table_place(void)
{
    const struct roots_range *range;

    for (unsigned i = 0; i < HEAP_N_OWN_WORDS; i++) {
        struct heap_range own = heap_own_words(i);
        roots_zones_add(&roots.excluded, own.lo, own.hi, ROOTS_ZONE_DEAD);
    }
    for (size_t at = 0; (range = table_next(&table_state.excluded, &at)) != NULL;)
        roots_zones_add(&roots.excluded, bits_round_up(range->lo, sizeof(uintptr_t)),
                        bits_round_down(range->hi, sizeof(uintptr_t)), ROOTS_ZONE_DEAD);
}

/* From an odd start a page that is read through the kernel would come with its words across those of the copy. */
bool roots_table_scan(void)
{
    const struct roots_range *range;

    for (size_t at = 0; (range = table_next(&table_state.added, &at)) != NULL;) {
        uintptr_t lo = bits_round_up(range->lo, sizeof(uintptr_t)), hi = bits_round_down(range->hi, sizeof(uintptr_t));

        if (lo < hi && !roots_feed_direct(ROOTS_RULE_WORDS, lo, hi, false))
            return false;
    }
    return true;
}

uint64_t roots_table_added(uintptr_t lo, uintptr_t hi)
{
    const struct roots_range *range;
    uint64_t n_bytes = 0;

    os_critical_enter();
    os_lock(&table_state.lock);
    for (size_t at = 0; (range = table_next(&table_state.added, &at)) != NULL;) {
        uintptr_t from = range->lo > lo ? range->lo : lo, to = range->hi < hi ? range->hi : hi;
        n_bytes += from < to ? to - from : 0;
    }
    os_unlock(&table_state.lock);
    os_critical_leave();
    return n_bytes;
}

static void table_recount(struct table *t)
{
    t->n_in_use = t->n_taken = 0;
    for (size_t i = 0; t->slots != NULL && i < t->slots->n_slots; i++) {
        t->n_in_use += t->slots->ranges[i].hi != 0;
        t->n_taken += t->slots->ranges[i].lo != 0;
    }
}

void roots_table_fork_child(void)
{
    os_lock_reset(&table_state.lock);
    table_recount(&table_state.added);
    table_recount(&table_state.excluded);
}
