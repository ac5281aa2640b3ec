/* Figures and gc_version; contract in include/gcmalloc.h. */
#include "gcmalloc.h"

#include <errno.h>
#include <string.h>
#include "api/alloc.h"
#include "api/gc_malloc.h"
#include "base/counters.h"
#include "base/histogram.h"
#include "gc/finalizer.h"
#include "gc/pacer.h"
#include "heap/meta.h"
#include "os/critical_inl.h"
#include "os/os.h"

#define STATS_TEXT_OF(x) #x
#define STATS_TEXT(x) STATS_TEXT_OF(x)

_Static_assert((int)GC_N_PAUSE_LENGTHS == (int)HISTOGRAM_N, "the public histogram is the library's");

static void stats_from_heap(struct gc_stats *s)
{
    os_critical_enter();
    struct heap_use use = heap_use_lately(os_clock_ns());
    s->heap_used_bytes = use.used_bytes;
    s->n_blocks_used = use.n_used;
    s->heap_committed_bytes = heap_committed_bytes();
    s->heap_purged_bytes = heap_purged_bytes();
    s->heap_mapped_bytes = heap_mapped_bytes();
    s->metadata_bytes = meta_used_bytes();
    os_critical_leave();
}

static void stats_from_counters(struct gc_stats *s)
{
    s->n_cycles = counter_get(COUNTER_CYCLES);
    s->n_cycles_skipped = counter_get(COUNTER_CYCLES_SKIPPED);
    s->n_blocks_reclaimed = counter_get(COUNTER_BLOCKS_RECLAIMED);
    s->n_bytes_reclaimed = counter_get(COUNTER_BYTES_RECLAIMED);
    s->n_blocks_marked = counter_get(COUNTER_BLOCKS_MARKED);
    s->n_bytes_marked = counter_get(COUNTER_BYTES_MARKED);
    s->n_taken_used = counter_get(COUNTER_TAKEN_FREED) + counter_get(COUNTER_TAKEN_REALLOC) +
                      counter_get(COUNTER_TAKEN_USABLE);
    s->n_foreign_freed =
        counter_get(COUNTER_FOREIGN_FREE_DROPPED) + counter_get(COUNTER_FOREIGN_FREE_FORWARDED);
    s->n_finalizers_run = counter_get(COUNTER_FINALIZERS_RUN);
    s->pause_ns_total = counter_get(COUNTER_PAUSE_NS_TOTAL);
    s->pause_ns_max = counter_get(COUNTER_PAUSE_NS_MAX);
    s->cpu_ns_total = counter_get(COUNTER_CYCLE_CPU_NS_TOTAL);
    s->n_cycles_by_growth = counter_get(COUNTER_CYCLES_BY_GROWTH);
    s->n_cycles_by_limit = counter_get(COUNTER_CYCLES_BY_LIMIT);
    s->n_cycles_explicit = counter_get(COUNTER_CYCLES_EXPLICIT);
    s->n_finalizers_set = counter_get(COUNTER_FINALIZERS_SET);
    s->n_finalizers_cyclic = counter_get(COUNTER_FINALIZER_CYCLES);
    s->finalizer_cyclic_first = (uintptr_t)finalizer_first_cyclic();
    s->n_weak_cleared = counter_get(COUNTER_WEAK_CLEARED);
    s->n_bytes_returned = counter_get(COUNTER_BYTES_PURGED);
    s->stop_ns_total = counter_get(COUNTER_STOP_NS_TOTAL);
    s->mark_ns_total = counter_get(COUNTER_MARK_NS_TOTAL);
    for (unsigned i = 0; i < GC_N_PAUSE_LENGTHS; i++)
        s->n_pauses[i] = histogram_get(&histogram_pauses, i);
}

EXPORT int gc_get_stats(struct gc_stats *stats, size_t size_bytes)
{
    struct gc_stats s = {0};
    size_t known_bytes = size_bytes < sizeof(s) ? size_bytes : sizeof(s);

    if (stats == NULL || size_bytes < sizeof(s.heap_used_bytes))
        return EINVAL;
    if (api_enter_slow())
        stats_from_heap(&s);
    stats_from_counters(&s);
    s.goal_bytes = pacer_goal_bytes();
    s.n_finalizers_queued = finalizer_queued();
    api_exit_slow();
    memset(stats, 0, size_bytes);
    memcpy(stats, &s, known_bytes);
    return 0;
}

EXPORT int gc_get_counter(unsigned number, const char **name, uint64_t *value)
{
    if (number >= COUNTER_COUNT)
        return EINVAL;
    *name = counter_name((enum counter)number);
    *value = counter_get((enum counter)number);
    return 0;
}

/* ---- per class ---- */

enum { STATS_CLASS_LARGE = SIZECLASS_N, STATS_CLASSES };

struct stats_class {
    uint64_t n_used, used_bytes, n_free;
};
struct stats_walk {
    struct stats_class of[FLAVOR_N][STATS_CLASSES];
};

static void stats_add_span(struct span *s, void *ctx)
{
    struct stats_walk *walk = ctx;
    struct stats_class *c = &walk->of[s->flavor][span_is_large(s) ? STATS_CLASS_LARGE : s->class_no];
    uint64_t n_used = heap_span_n_used(s);

    c->n_used += n_used;
    c->used_bytes += n_used * s->size_bytes;
    c->n_free += s->n_blocks - n_used;
}

static struct gc_class_stats stats_class_entry(const struct stats_class *c, unsigned flavor, unsigned class_no)
{
    return (struct gc_class_stats){
        .size_bytes = class_no == STATS_CLASS_LARGE ? 0 : sizeclass_size(class_no),
        .n_used = c->n_used,
        .used_bytes = c->used_bytes,
        .n_free = c->n_free,
        .flags = gc_flags_of_flavor(flavor),
    };
}

/* As much of the entry as the caller knows, and 0 for what it knows beyond. */
static void stats_put_entry(struct gc_class_stats *classes, size_t entry_bytes, size_t i,
                            const struct gc_class_stats *entry)
{
    unsigned char *to = (unsigned char *)classes + i * entry_bytes;

    memset(to, 0, entry_bytes);
    memcpy(to, entry, entry_bytes < sizeof(*entry) ? entry_bytes : sizeof(*entry));
}

EXPORT size_t gc_get_classes(struct gc_class_stats *classes, size_t entry_bytes, size_t n_max)
{
    struct stats_walk walk = {0};
    size_t n = 0;

    if (!api_enter_slow())
        return 0;
    os_critical_enter();
    heap_walk_spans(stats_add_span, &walk);
    os_critical_leave();
    api_exit_slow();
    for (unsigned f = 0; f < FLAVOR_N; f++)
        for (unsigned c = 0; c < STATS_CLASSES; c++) {
            if (walk.of[f][c].n_used + walk.of[f][c].n_free == 0)
                continue;
            struct gc_class_stats entry = stats_class_entry(&walk.of[f][c], f, c);
            if (n < n_max)
                stats_put_entry(classes, entry_bytes, n, &entry);
            n++;
        }
    return n;
}

EXPORT const char *gc_version(void)
{
    return STATS_TEXT(GCMALLOC_VERSION_MAJOR) "." STATS_TEXT(GCMALLOC_VERSION_MINOR) "." STATS_TEXT(
        GCMALLOC_VERSION_PATCH);
}
