/* Ranges that the program added to the roots or excluded from them; see roots.h.
 *
 * Invariants  a table is never changed: a change builds a new one and publishes it by one store, so that a fork child
 *             and the collector find it whole at every instant.
 * Locks       FIN for changes. The collector reads in the stopped world, where nobody is in a critical section.
 */
#include "gc/roots_int.h"

#include <errno.h>

#include "base/bits.h"
#include "base/check.h"
#include "heap/heap.h"
#include "heap/meta.h"
#include "os/critical_inl.h"

static struct {
    struct os_lock lock;
    struct roots_table *added; /* NULL: none ever */
    struct roots_table *excluded;
} table_state = {.lock = OS_LOCK_INIT(OS_RANK_FIN)};

static size_t table_bytes(size_t n)
{
    return sizeof(struct roots_table) + n * sizeof(struct roots_range);
}

static size_t table_count(const struct roots_table *t)
{
    return t != NULL ? t->n : 0;
}

/* Copy of t without the range of index `without` (t->n: with all), with room for n_more at its end. */
static struct roots_table *table_copy(const struct roots_table *t, size_t without, size_t n_more)
{
    size_t n_old = table_count(t);
    size_t n_kept = without < n_old ? n_old - 1 : n_old;
    struct roots_table *copy = meta_alloc(table_bytes(n_kept + n_more));

    if (copy == NULL)
        return NULL;
    copy->n = n_kept + n_more;
    for (size_t i = 0, to = 0; i < n_old; i++)
        if (i != without)
            copy->ranges[to++] = t->ranges[i];
    return copy;
}

static int table_publish_locked(struct roots_table **where, struct roots_table *fresh)
{
    struct roots_table *old = *where;

    os_lock_assert_held(&table_state.lock);
    if (fresh == NULL)
        return ENOMEM;
    __atomic_store_n(where, fresh, __ATOMIC_RELEASE);
    if (old != NULL)
        meta_free(old, table_bytes(old->n));
    return 0;
}

static int table_insert_locked(struct roots_table **where, struct roots_range range)
{
    struct roots_table *fresh = table_copy(*where, SIZE_MAX, 1);

    if (fresh != NULL)
        fresh->ranges[fresh->n - 1] = range;
    return table_publish_locked(where, fresh);
}

static int table_delete_locked(struct roots_table **where, struct roots_range range)
{
    for (size_t i = 0; i < table_count(*where); i++)
        if ((*where)->ranges[i].lo == range.lo && (*where)->ranges[i].hi == range.hi)
            return table_publish_locked(where, table_copy(*where, i, 0));
    return EINVAL;
}

static int table_change(int (*change)(struct roots_table **, struct roots_range), struct roots_table **where,
                        void *start, size_t size_bytes)
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
    n = table_count(table_state.excluded) + HEAP_N_OWN_WORDS;
    os_unlock(&table_state.lock);
    return n;
}

/* A word that is excluded only in part is read: inwards to whole words. */
void roots_table_place(void)
{
    const struct roots_table *t = table_state.excluded;

    for (unsigned i = 0; i < HEAP_N_OWN_WORDS; i++) {
        struct heap_range own = heap_own_words(i);
        roots_zones_add(&roots.excluded, own.lo, own.hi, ROOTS_ZONE_DEAD);
    }
    for (size_t i = 0; i < table_count(t); i++)
        roots_zones_add(&roots.excluded, bits_round_up(t->ranges[i].lo, sizeof(uintptr_t)),
                        bits_round_down(t->ranges[i].hi, sizeof(uintptr_t)), ROOTS_ZONE_DEAD);
}

bool roots_table_scan(void)
{
    const struct roots_table *t = table_state.added;

    for (size_t i = 0; i < table_count(t); i++)
        if (!roots_feed_direct(ROOTS_RULE_WORDS, t->ranges[i].lo, t->ranges[i].hi, false))
            return false;
    return true;
}

void roots_table_fork_child(void)
{
    os_lock_reset(&table_state.lock);
}
