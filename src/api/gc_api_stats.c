/* gc_get_stats and gc_version; contract in include/gcmalloc.h. */
#include "gcmalloc.h"

#include <errno.h>
#include <string.h>
#include "api/alloc.h"
#include "base/counters.h"
#include "gc/finalizer.h"
#include "gc/pacer.h"
#include "heap/meta.h"
#include "os/critical_inl.h"
#include "os/os.h"

#define STATS_TEXT_OF(x) #x
#define STATS_TEXT(x) STATS_TEXT_OF(x)

static void stats_from_heap(struct gc_stats *s)
{
    os_critical_enter();
    s->heap_used_bytes = heap_recount();
    s->heap_committed_bytes = heap_committed_bytes();
    s->heap_purged_bytes = heap_purged_bytes();
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

EXPORT const char *gc_version(void)
{
    return STATS_TEXT(GCMALLOC_VERSION_MAJOR) "." STATS_TEXT(GCMALLOC_VERSION_MINOR) "." STATS_TEXT(
        GCMALLOC_VERSION_PATCH);
}
