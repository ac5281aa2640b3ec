/* The summary of the collections so far.
 *
 *     gcmalloc: process 4711 (python3)
 *       heap        in use 12.3M, taken from the kernel 20M, given back 1M, tables 1.1M, next collection at 64M
 *       cycles      12: growth 10, limit 0, explicit 2, stress 0
 *       skipped     1: thread did not stop in time 1
 *       reclaimed   70000 blocks, 66M
 *       quarantine  released 1000 blocks, 1M; still pointed to 2, 96; given up 0        (only where it is on)
 *       pauses      12, together 34.52 ms, longest 5.61 ms; CPU time 40.11 ms, 1.2% of the process's
 *         from us       to us     count
 *              64         128         3  ##########
 *       oddities    taken_freed 1        (only where there are any)
 */
#include "api/report.h"

#include <string.h>
#include "api/alloc.h"
#include "api/out.h"
#include "base/counters.h"
#include "base/histogram.h"
#include "gc/pacer.h"
#include "heap/meta.h"
#include "heap/quarantine.h"
#include "os/critical_inl.h"
#include "os/os.h"

enum { STATS_BAR_COLUMNS = 40, STATS_COUNT_COLUMNS = 10 };

static void stats_put_head(struct out *o)
{
    char name[OS_TASK_NAME_BYTES];

    os_task_name(os_gettid(), name);
    fmt_str(&o->f, "gcmalloc: process ");
    fmt_u64(&o->f, (uint64_t)os_getpid());
    if (name[0] != '\0') {
        fmt_str(&o->f, " (");
        fmt_str(&o->f, name);
        fmt_char(&o->f, ')');
    }
    out_end_line(o);
}

static void stats_put_bytes(struct out *o, const char *before, uint64_t n_bytes)
{
    fmt_str(&o->f, before);
    fmt_bytes(&o->f, n_bytes);
}

static void stats_put_heap(struct out *o)
{
    size_t used = 0, committed, purged, tables;

    if (!api_enter_slow())
        return;
    os_critical_enter();
    used = heap_recount();
    committed = heap_committed_bytes();
    purged = heap_purged_bytes();
    tables = meta_used_bytes();
    os_critical_leave();
    out_label(o, "heap");
    stats_put_bytes(o, "in use ", used);
    stats_put_bytes(o, ", taken from the kernel ", committed);
    stats_put_bytes(o, ", given back ", purged);
    stats_put_bytes(o, ", tables ", tables);
    stats_put_bytes(o, ", next collection at ", pacer_goal_bytes());
    out_end_line(o);
}

static void stats_put_counter(struct out *o, const char *text, enum counter c)
{
    fmt_str(&o->f, text);
    fmt_u64(&o->f, counter_get(c));
}

static void stats_put_cycles(struct out *o)
{
    out_label(o, "cycles");
    stats_put_counter(o, "", COUNTER_CYCLES);
    stats_put_counter(o, ": growth ", COUNTER_CYCLES_BY_GROWTH);
    stats_put_counter(o, ", limit ", COUNTER_CYCLES_BY_LIMIT);
    stats_put_counter(o, ", explicit ", COUNTER_CYCLES_EXPLICIT);
    stats_put_counter(o, ", stress ", COUNTER_CYCLES_STRESS);
    if (counter_get(COUNTER_CLONES) != 0)
        stats_put_counter(o, "; marked by a clone ", COUNTER_CYCLES_CONCURRENT);
    out_end_line(o);
    out_label(o, "reclaimed");
    stats_put_counter(o, "", COUNTER_BLOCKS_RECLAIMED);
    stats_put_bytes(o, " blocks, ", counter_get(COUNTER_BYTES_RECLAIMED));
    out_end_line(o);
}

static void stats_put_held(struct out *o)
{
    if (!quarantine_is_on())
        return;
    out_label(o, "quarantine");
    stats_put_counter(o, "released ", COUNTER_HELD_RELEASED);
    stats_put_bytes(o, " blocks, ", counter_get(COUNTER_HELD_RELEASED_BYTES));
    stats_put_counter(o, "; still pointed to ", COUNTER_HELD_BLOCKS);
    stats_put_bytes(o, ", ", counter_get(COUNTER_HELD_BYTES));
    stats_put_counter(o, "; given up ", COUNTER_HELD_FORCED);
    out_end_line(o);
}

/* "skipped: a thread did not stop in time", without what the label says already. */
static const char *stats_skip_text(enum counter c)
{
    const char *help = counter_help(c);
    const char *colon = strstr(help, ": ");

    return colon != NULL ? colon + 2 : help;
}

void report_put_skips(struct out *o)
{
    const char *before = ": ";

    if (counter_get(COUNTER_CYCLES_SKIPPED) == 0)
        return;
    out_label(o, "skipped");
    stats_put_counter(o, "", COUNTER_CYCLES_SKIPPED);
    for (unsigned c = COUNTER_SKIP_FIRST; c <= COUNTER_SKIP_LAST; c++) {
        if (counter_get(c) == 0)
            continue;
        fmt_str(&o->f, before);
        fmt_str(&o->f, stats_skip_text(c));
        stats_put_counter(o, " ", c);
        before = ", ";
    }
    out_end_line(o);
}

/* ---- pauses ---- */

static uint64_t stats_pause_max(void)
{
    uint64_t max = 0;

    for (unsigned i = 0; i < HISTOGRAM_N; i++) {
        uint64_t n = histogram_get(&histogram_pauses, i);
        max = n > max ? n : max;
    }
    return max;
}

static void stats_put_bucket(struct out *o, unsigned i, uint64_t max)
{
    uint64_t n = histogram_get(&histogram_pauses, i);

    fmt_str(&o->f, "  ");
    out_right(o, histogram_floor_us(i), STATS_COUNT_COLUMNS);
    fmt_str(&o->f, "  ");
    if (i + 1 < HISTOGRAM_N)
        out_right(o, histogram_floor_us(i + 1), STATS_COUNT_COLUMNS);
    else
        fmt_str(&o->f, "     longer");
    out_right(o, n, STATS_COUNT_COLUMNS);
    fmt_str(&o->f, "  ");
    for (uint64_t column = 0; column * max < n * STATS_BAR_COLUMNS; column++)
        fmt_char(&o->f, '#');
    out_end_line(o);
}

/* From the first bucket that counted something to the last. */
static void stats_put_histogram(struct out *o)
{
    uint64_t max = stats_pause_max();
    unsigned first = 0, last = HISTOGRAM_N;

    if (max == 0)
        return;
    while (histogram_get(&histogram_pauses, first) == 0)
        first++;
    while (histogram_get(&histogram_pauses, last - 1) == 0)
        last--;
    out_line(o, "     from us       to us     count");
    for (unsigned i = first; i < last; i++)
        stats_put_bucket(o, i, max);
}

static uint64_t stats_n_pauses(void)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < HISTOGRAM_N; i++)
        n += histogram_get(&histogram_pauses, i);
    return n;
}

static void stats_put_pauses(struct out *o)
{
    uint64_t cpu_ns = os_clock_cpu_ns(), cycles_ns = counter_get(COUNTER_CYCLE_CPU_NS_TOTAL);
    uint64_t tenths = cpu_ns < 1000 ? 0 : cycles_ns / (cpu_ns / 1000);

    out_label(o, "pauses");
    fmt_u64(&o->f, stats_n_pauses());
    fmt_str(&o->f, ", together ");
    out_ms(o, counter_get(COUNTER_PAUSE_NS_TOTAL));
    fmt_str(&o->f, ", longest ");
    out_ms(o, counter_get(COUNTER_PAUSE_NS_MAX));
    fmt_str(&o->f, "; CPU time ");
    out_ms(o, cycles_ns);
    fmt_str(&o->f, ", ");
    fmt_u64(&o->f, tenths / 10);
    fmt_char(&o->f, '.');
    fmt_u64(&o->f, tenths % 10);
    fmt_str(&o->f, "% of the process's");
    out_end_line(o);
    stats_put_histogram(o);
}

/* What an ordinary program never does, or what the collector met and coped with. */
static void stats_put_oddities(struct out *o)
{
    static const enum counter odd[] = {
        COUNTER_TAKEN_FREED,          COUNTER_TAKEN_REALLOC,          COUNTER_TAKEN_USABLE, COUNTER_FAULTS,
        COUNTER_FOREIGN_FREE_DROPPED, COUNTER_FOREIGN_FREE_FORWARDED, COUNTER_FINALIZER_CYCLES,
    };
    bool is_first = true;

    for (size_t i = 0; i < N_ELEMENTS(odd); i++) {
        if (counter_get(odd[i]) == 0)
            continue;
        if (is_first)
            out_label(o, "oddities");
        fmt_str(&o->f, is_first ? "" : ", ");
        fmt_str(&o->f, counter_name(odd[i]));
        stats_put_counter(o, " ", odd[i]);
        is_first = false;
    }
    if (!is_first)
        out_end_line(o);
}

void report_stats(int fd)
{
    struct out o;

    out_init(&o, fd);
    stats_put_head(&o);
    stats_put_heap(&o);
    stats_put_cycles(&o);
    stats_put_held(&o);
    report_put_skips(&o);
    stats_put_pauses(&o);
    stats_put_oddities(&o);
}
