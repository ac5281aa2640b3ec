/* One line a cycle, written with one call after the world runs again.
 *
 *     gc 3 @12.345s growth: stop 85 roots 410 mark 2210 finalize 2 publish 31 resume 12 us, heap
 *         130M->64M goal 128M, reclaimed 70000 blocks 66M, roots 1.2M, threads 4, cpu 1.3%    (one line)
 *     gc 4 @12.401s growth skipped: thread not stopped
 *
 *     gc: free of 0x15a2c0012340 (48 bytes, malloc) from 0x55d0c0a81234: it had been found unreachable; blocks of this
 *         size and kind are kept from now on                                                     (one line)
 *
 *     gc N        number of the cycle, skipped ones included
 *     @T          seconds since the library was initialised
 *     cause       growth, limit, explicit, stress, no memory
 *     phases      microseconds: until all threads stand; reading roots; marking; weak links, finalizers;
 *                 publishing what is dead; letting the threads go
 *     heap A->B   bytes in use before and after; goal: the use at which the next cycle becomes due
 *     roots       bytes of roots read;  threads: how many stood, the collecting one included
 *     cpu         share of the process's CPU time that all cycles took so far
 *     never finalized N   only where there are such: blocks with a finalizer that reach themselves
 *     two stops N us apart   only where a clone marked meanwhile (concurrent=yes): the phases are those of both
 */
#include "gc/trace.h"

#include "base/counters.h"
#include "base/fmt.h"
#include "heap/span.h"
#include "os/os.h"

enum { TRACE_LINE_MAX = 512, TRACE_MAX_UNSEEN = 100 };

static struct {
    uint64_t origin_ns;
    unsigned level;
    struct os_output out;
} trace = {.out = OS_OUTPUT_NONE};

static const char *const trace_phase_names[PHASE_N] = {"stop",     "roots",   "mark",
                                                       "finalize", "publish", "resume"};

const char *cycle_cause_name(enum cycle_cause cause)
{
    static const char *const names[] = {"growth", "limit", "explicit", "stress", "no memory", "explicit"};
    return names[cause];
}

void trace_init(unsigned level, const struct os_output *out)
{
    if (level != 0) /* it is for ever, and the clock's pages cost a process as much as two of its own */
        trace.origin_ns = os_clock_ns();
    trace.level = level;
    trace.out = *out;
}

static void trace_put_head(struct fmt *f, const struct trace_cycle *c)
{
    uint64_t ms = (c->start_ns - trace.origin_ns) / 1000000;
    fmt_str(f, "gc ");
    fmt_u64(f, c->cycle_no);
    fmt_str(f, " @");
    fmt_u64(f, ms / 1000);
    fmt_char(f, '.');
    fmt_char(f, (char)('0' + ms / 100 % 10));
    fmt_char(f, (char)('0' + ms / 10 % 10));
    fmt_char(f, (char)('0' + ms % 10));
    fmt_str(f, "s ");
    fmt_str(f, cycle_cause_name(c->cause));
}

static void trace_put_phases(struct fmt *f, const struct trace_cycle *c)
{
    for (int i = 0; i < PHASE_N; i++) {
        fmt_char(f, ' ');
        fmt_str(f, trace_phase_names[i]);
        fmt_char(f, ' ');
        fmt_u64(f, c->phase_ns[i] / 1000);
    }
    fmt_str(f, " us");
}

/* A share with one decimal. */
static void trace_put_percent(struct fmt *f, uint64_t part, uint64_t whole)
{
    uint64_t tenths = whole == 0 ? 0 : part / (whole / 1000 + 1);
    fmt_u64(f, tenths / 10);
    fmt_char(f, '.');
    fmt_u64(f, tenths % 10);
    fmt_char(f, '%');
}

static void trace_put_blocks(struct fmt *f, const char *label, uint64_t n, uint64_t n_bytes)
{
    fmt_str(f, label);
    fmt_u64(f, n);
    fmt_str(f, " blocks ");
    fmt_bytes(f, n_bytes);
}

static void trace_put_result(struct fmt *f, const struct trace_cycle *c)
{
    fmt_str(f, ", heap ");
    fmt_bytes(f, c->totals.live_bytes + c->totals.dead_bytes + c->totals.unheld_bytes);
    fmt_str(f, "->");
    fmt_bytes(f, c->totals.live_bytes);
    fmt_str(f, " goal ");
    fmt_bytes(f, c->goal_bytes);
    trace_put_blocks(f, ", reclaimed ", c->totals.n_dead, c->totals.dead_bytes);
    fmt_str(f, ", roots ");
    fmt_bytes(f, c->roots_bytes);
    fmt_str(f, ", threads ");
    fmt_u64(f, c->n_threads);
    fmt_str(f, ", cpu ");
    trace_put_percent(f, counter_get(COUNTER_CYCLE_CPU_NS_TOTAL), os_clock_cpu_ns());
    if (c->n_cyclic != 0) {
        fmt_str(f, ", never finalized ");
        fmt_u64(f, c->n_cyclic);
    }
    if (c->totals.n_held + c->totals.n_unheld != 0) {
        trace_put_blocks(f, ", freed ", c->totals.n_unheld, c->totals.unheld_bytes);
        trace_put_blocks(f, ", held ", c->totals.n_held, c->totals.held_bytes);
    }
    if (c->beside_ns != 0) {
        fmt_str(f, ", two stops ");
        fmt_u64(f, c->beside_ns / 1000);
        fmt_str(f, " us apart");
    }
}

static void trace_put_line(const char *line, size_t len)
{
    int fd = os_output_fd(&trace.out);
    if (fd >= 0)
        os_write_all(fd, line, len);
}

void trace_write(const struct trace_cycle *c)
{
    char line[TRACE_LINE_MAX];
    struct fmt f = fmt_init(line, sizeof(line) - 1);
    if (trace.level == 0)
        return;
    trace_put_head(&f, c);
    if (c->skip != SKIP_NONE) {
        fmt_str(&f, " skipped: ");
        fmt_str(&f, cycle_skip_name(c->skip));
    } else {
        fmt_char(&f, ':');
        trace_put_phases(&f, c);
        trace_put_result(&f, c);
    }
    line[f.len++] = '\n';
    trace_put_line(line, f.len);
}

void trace_unseen_use(const char *what, uintptr_t addr, size_t size_bytes, unsigned flavor, const void *caller)
{
    static const char *const kinds[FLAVOR_N] = {"malloc", "gc_malloc", "gc_malloc noscan", "root", "root noscan",
                                               "gc_new", "gc_malloc noscan part"};
    static uint32_t n_told;
    char line[TRACE_LINE_MAX];
    struct fmt f = fmt_init(line, sizeof(line) - 1);

    if (trace.level == 0 || __atomic_fetch_add(&n_told, 1, __ATOMIC_RELAXED) >= TRACE_MAX_UNSEEN)
        return;
    fmt_str(&f, "gc: ");
    fmt_str(&f, what);
    fmt_str(&f, " of ");
    fmt_hex(&f, addr);
    fmt_str(&f, " (");
    fmt_u64(&f, size_bytes);
    fmt_str(&f, " bytes, ");
    fmt_str(&f, kinds[flavor]);
    fmt_str(&f, ") from ");
    fmt_hex(&f, (uintptr_t)caller);
    fmt_str(&f, ": it had been found unreachable; blocks of this size and kind are kept from now on\n");
    trace_put_line(line, f.len);
}
