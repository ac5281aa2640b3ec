/* The order of a cycle; see cycle.h. */
#include "gc/cycle.h"

#include "base/counters.h"
#include "base/histogram.h"
#include "gc/cycle_gate.h"
#include "gc/event.h"
#include "gc/finalizer.h"
#include "gc/mark.h"
#include "gc/pacer.h"
#include "gc/roots.h"
#include "gc/snapshot.h"
#include "gc/sweep.h"
#include "gc/trace.h"
#include "gc/tracked.h"
#include "gc/twin.h"
#include "gc/weak.h"
#include "gc/withhold.h"
#include "gc/world.h"
#include "heap/heap.h"
#include "heap/meta.h"
#include "heap/probation.h"
#include "os/critical_inl.h"
#include "os/os.h"

enum { CYCLE_STACK_BYTES = 256 * 1024 };

/* One cycle, from phase to phase. */
struct cycle {
    struct trace_cycle trace; /* cause, skip, times, totals */
    uint64_t lap_ns;          /* end of the last phase */
    uint64_t cpu_ns;          /* of the process, when the world stood */
    bool may_split;           /* marking may be left to a clone */
    bool has_split;           /* it was, just now */
    bool is_marked;           /* a clone has done it: this is the second stop of two */
    char *stack_top;
    struct os_altstack_hold altstack;
};

static struct {
    uint64_t n_completed; /* atomic */
    uint64_t n_tried;
    bool is_checking, has_hider;
    struct trace_cycle first; /* of a cycle that waits for its second stop */
} cycle_state;

/* ---- reasons ---- */

/* Texts, not pointers to them, which would be written when the library is loaded. */
static const struct {
    char name[36];
    enum counter counter;
} cycle_skips[SKIP_N] = {
    [SKIP_NONE] = {"not skipped", COUNTER_COUNT},
    [SKIP_BUSY] = {"another thread is collecting", COUNTER_SKIP_NESTED},
    [SKIP_OFF] = {"collection is off", COUNTER_COUNT},
    [SKIP_INHIBITED] = {"inhibited", COUNTER_SKIP_INHIBITED},
    [SKIP_FORK] = {"fork in progress", COUNTER_SKIP_FORK},
    [SKIP_VFORK] = {"vfork in progress", COUNTER_SKIP_VFORK_CHILD},
    [SKIP_SECCOMP] = {"system calls are filtered", COUNTER_SKIP_SECCOMP},
    [SKIP_NO_PROC] = {"/proc does not show this process", COUNTER_SKIP_NO_PROC},
    [SKIP_NO_PAGEMAP] = {"pagemap cannot be read", COUNTER_SKIP_NO_PAGEMAP},
    [SKIP_NOT_STOPPED] = {"thread not stopped", COUNTER_SKIP_THREAD_NOT_STOPPED},
    [SKIP_UNINTERRUPTIBLE] = {"thread waits in the kernel", COUNTER_SKIP_THREAD_UNINTERRUPTIBLE},
    [SKIP_STACK_MISSING] = {"stack not among the mappings", COUNTER_SKIP_STACK_MISSING},
    [SKIP_FAULT] = {"page with content cannot be read", COUNTER_SKIP_FAULT},
    [SKIP_IO_URING] = {"io_uring in use", COUNTER_SKIP_IO_URING},
    [SKIP_FUSE] = {"serves a file system (FUSE)", COUNTER_SKIP_FUSE},
    [SKIP_NO_MEMORY] = {"no memory for tables", COUNTER_SKIP_NO_MEMORY},
    [SKIP_TOO_MANY_ROOTS] = {"too many roots", COUNTER_SKIP_TOO_MANY_ROOTS},
    [SKIP_TWIN] = {"a clone is marking", COUNTER_COUNT},
    [SKIP_NESTED] = {"nested call", COUNTER_SKIP_NESTED},
};

const char *cycle_skip_name(enum cycle_skip s)
{
    return cycle_skips[s].name;
}

uint64_t cycle_count(void)
{
    return __atomic_load_n(&cycle_state.n_completed, __ATOMIC_RELAXED);
}

void cycle_init(const struct cycle_config *config)
{
    cycle_state.is_checking = config->check;
    cycle_state.has_hider = config->has_hider;
    trace_init(config->trace, &config->trace_out);
    cycle_set_mode(config->mode);
}

/* ---- phases; world stopped, on our own stack ---- */

static void cycle_lap(struct cycle *c, enum trace_phase phase)
{
    uint64_t now = os_clock_ns();
    c->trace.phase_ns[phase] += now - c->lap_ns;
    c->lap_ns = now;
}

bool cycle_keeps_malloc(void)
{
    enum cycle_mode mode = cycle_mode();
    return mode == MODE_EXPLICIT || (mode == MODE_AUTO && (cycle_state.has_hider || roots_has_hider()));
}

/* Everything that is alive by itself. Twice in one cycle where the marker is checked. */
static enum cycle_skip cycle_give_roots(void)
{
    enum cycle_skip skip = roots_scan();
    if (skip != SKIP_NONE)
        return skip;
    mark_root_spans(cycle_keeps_malloc());
    finalizer_mark_roots();
    weak_mark_roots();
    return SKIP_NONE;
}

static bool cycle_give_roots_again(void *ctx)
{
    (void)ctx;
    return cycle_give_roots() == SKIP_NONE;
}

/* What no word leads to in processes of four libraries. */
static bool cycle_mark_distances(size_t *n_found)
{
    *n_found = 0;
    return roots_disguises() == 0 || mark_distances(roots_disguises(), n_found);
}

/* What no word leads to, but what is marked knows otherwise: each of the two may lead to more of the other. */
static bool cycle_mark_indirect(void)
{
    size_t n_found;
    do {
        if (!finalizer_mark_args())
            return false;
        if (!cycle_mark_distances(&n_found))
            return false;
    } while (n_found != 0);
    return true;
}

static bool cycle_drain(void)
{
    size_t n_found;
    return mark_drain() && cycle_mark_distances(&n_found);
}

static bool cycle_mark_rest(void)
{
    return mark_drain() && cycle_mark_indirect();
}

static enum cycle_skip cycle_mark_here(struct cycle *c)
{
    enum cycle_skip skip = cycle_give_roots();
    c->trace.roots_bytes = roots_scanned_bytes();
    cycle_lap(c, PHASE_ROOTS);
    if (skip != SKIP_NONE)
        return skip;
    c->has_split = c->may_split && twin_begin(cycle_mark_rest);
    if (c->has_split) {
        cycle_lap(c, PHASE_MARK);
        return SKIP_TWIN;
    }
    bool is_complete = mark_drain();
    if (is_complete && cycle_state.is_checking)
        is_complete = mark_check(cycle_give_roots_again, NULL);
    is_complete = is_complete && cycle_mark_indirect();
    cycle_lap(c, PHASE_MARK);
    return is_complete ? SKIP_NONE : SKIP_FAULT;
}

/* What finalizers and the like hold may have changed since the clone was made. */
static enum cycle_skip cycle_take_over(struct cycle *c)
{
    mark_alone(); /* next to nothing is left: no helper is woken for it */
    finalizer_mark_roots();
    bool is_complete = cycle_mark_rest();
    cycle_lap(c, PHASE_MARK);
    return is_complete ? SKIP_NONE : SKIP_FAULT;
}

static enum cycle_skip cycle_mark(struct cycle *c)
{
    mark_begin();
    if (c->is_marked && twin_import())
        return cycle_take_over(c);
    c->trace.beside_ns = 0; /* nothing came of it */
    return cycle_mark_here(c);
}

/* Short links first: what only a finalizer will still see is gone for everybody else. */
static enum cycle_skip cycle_finalize(struct cycle *c)
{
    weak_clear();
    finalizer_mark_reachable();
    if (!cycle_drain())
        return SKIP_FAULT;
    struct finalizer_split_result split = finalizer_split();
    c->trace.n_cyclic = split.n_cyclic;
    counter_add(COUNTER_FINALIZER_CYCLES, split.n_cyclic_new);
    bool is_complete = cycle_drain();
    if (is_complete)
        finalizer_end(&split);
    cycle_lap(c, PHASE_FINALIZE);
    return is_complete ? SKIP_NONE : SKIP_FAULT;
}

static enum cycle_skip cycle_collect(struct cycle *c)
{
    enum cycle_skip skip = cycle_mark(c);
    if (skip != SKIP_NONE)
        return skip;
    snapshot_at_stop();
    tracked_judge();
    if (cycle_mode() == MODE_REPORT) {
        c->trace.totals = sweep_count();
    } else {
        skip = cycle_finalize(c);
        if (skip != SKIP_NONE)
            return skip;
        c->trace.totals = sweep_publish();
        tracked_note_taken();
    }
    if (GCM_CHECKING)
        heap_check();
    cycle_lap(c, PHASE_PUBLISH);
    return SKIP_NONE;
}

/* Inhibits, mode and forks may have changed until everybody stood. */
static enum cycle_skip cycle_stopped(struct cycle *c)
{
    enum cycle_skip skip = cycle_gate_reason();
    if (skip != SKIP_NONE)
        return skip;
    if (os_fault_guard_begin() != 0)
        return SKIP_FAULT;
    world_reap();
    heap_settle();
    skip = cycle_collect(c);
    if (skip != SKIP_NONE)
        mark_clear_all();
    roots_finish();
    os_fault_guard_end();
    return skip;
}

static void cycle_stop_and_go(struct cycle *c)
{
    uint64_t begin_ns = c->lap_ns = os_clock_ns();
    c->trace.skip = world_stop();
    cycle_lap(c, PHASE_STOP);
    if (c->trace.skip != SKIP_NONE)
        return;
    c->cpu_ns = os_clock_cpu_ns();
    c->trace.n_threads = world_n_slots() + 1;
    c->trace.skip = cycle_stopped(c);
    c->trace.cpu_ns = os_clock_cpu_ns() - c->cpu_ns;
    c->lap_ns = os_clock_ns();
    /* Until here and not until world_start returns: those that run again may take this thread's CPU. */
    counter_add(COUNTER_PAUSE_NS_TOTAL, c->lap_ns - begin_ns);
    counter_raise(COUNTER_PAUSE_NS_MAX, c->lap_ns - begin_ns);
    histogram_add(&histogram_pauses, c->lap_ns - begin_ns);
    world_start();
    cycle_lap(c, PHASE_RESUME);
}

/* What needs memory, while the world runs. */
static enum cycle_skip cycle_prepare(void)
{
    enum cycle_skip skip = world_prepare();
    return skip != SKIP_NONE ? skip : roots_prepare();
}

/* Handlers of the program could wait for a thread that stands still. */
static void cycle_on_stack(void *arg, uintptr_t caller_sp)
{
    struct cycle *c = arg;
    uint64_t old;
    os_altstack_left(&c->altstack);
    bool is_held = os_signals_hold(&old);
    c->trace.skip = cycle_prepare();
    roots_set_caller(caller_sp);
    if (c->trace.skip == SKIP_NONE)
        cycle_stop_and_go(c);
    if (is_held)
        os_signals_release(&old);
    os_altstack_return(&c->altstack);
}

/* ---- before and after ---- */

/* The caller's may be a page. */
static enum cycle_skip cycle_make_stack(struct cycle *c)
{
    char *stack = meta_scratch_reserve(SCRATCH_GC_STACK, CYCLE_STACK_BYTES);
    if (stack == NULL || !mark_prepare())
        return SKIP_NO_MEMORY;
    c->stack_top = stack + CYCLE_STACK_BYTES;
    return SKIP_NONE;
}

/* The times of the first stop are the cycle's, too. */
static void cycle_resume(struct cycle *c)
{
    const struct trace_cycle *first = &cycle_state.first;
    c->is_marked = true;
    c->trace.beside_ns = os_clock_ns() - first->end_ns;
    c->trace.start_ns = first->start_ns;
    c->trace.roots_bytes = first->roots_bytes;
    for (int i = 0; i < PHASE_N; i++)
        c->trace.phase_ns[i] = first->phase_ns[i];
}

/* Whoever asked for a collection waits for its end. Growth does once it is far beyond the goal. */
static bool cycle_awaits_twin(const struct cycle *c)
{
    return c->trace.cause != CYCLE_GROWTH || pacer_is_overdue();
}

/* A clone is on its way: has it marked, or will this cycle not wait for it? One that was made before somebody asked for a
 * collection knows nothing of what was lost since. */
static enum cycle_skip cycle_meet_twin(struct cycle *c)
{
    if (c->trace.cause != CYCLE_GROWTH && c->trace.cause != CYCLE_STRESS && !c->has_split) {
        twin_end();
        return SKIP_NONE;
    }
    c->may_split = false;
    switch (twin_poll(cycle_awaits_twin(c))) {
    case TWIN_RUNNING:
        return SKIP_TWIN;
    case TWIN_DONE:
        cycle_resume(c);
        break;
    case TWIN_LOST:
        break;
    }
    return SKIP_NONE;
}

static void cycle_attempt(struct cycle *c)
{
    c->trace.start_ns = os_clock_ns();
    c->trace.skip = cycle_gate_reason();
    if (UNLIKELY(c->trace.skip == SKIP_OFF || c->trace.skip == SKIP_INHIBITED))
        twin_end();
    c->may_split = !c->has_split && twin_is_wanted(c->trace.cause);
    if (c->trace.skip == SKIP_NONE && UNLIKELY(twin_is_on_its_way()))
        c->trace.skip = cycle_meet_twin(c);
    if (c->trace.skip == SKIP_NONE)
        c->trace.skip = cycle_make_stack(c);
    if (c->trace.skip == SKIP_NONE) {
        os_altstack_leave(&c->altstack);
        os_call_on_stack(cycle_on_stack, c, c->stack_top);
        os_altstack_returned(&c->altstack);
    }
    mark_finish();
    if (c->is_marked) {
        c->trace.cpu_ns += cycle_state.first.cpu_ns;
        pacer_note_clone(twin_cpu_ns());
        twin_end();
    }
}

static void cycle_count_complete(const struct trace_cycle *t)
{
    static const enum counter by_cause[] = {
        [CYCLE_GROWTH] = COUNTER_CYCLES_BY_GROWTH,   [CYCLE_LIMIT] = COUNTER_CYCLES_BY_LIMIT,
        [CYCLE_EXPLICIT] = COUNTER_CYCLES_EXPLICIT,  [CYCLE_STRESS] = COUNTER_CYCLES_STRESS,
        [CYCLE_NO_MEMORY] = COUNTER_CYCLES_BY_LIMIT, [CYCLE_INQUIRY] = COUNTER_CYCLES_EXPLICIT,
    };
    __atomic_add_fetch(&cycle_state.n_completed, 1, __ATOMIC_RELAXED);
    counter_add(COUNTER_CYCLES, 1);
    counter_add(by_cause[t->cause], 1);
    counter_add(COUNTER_CYCLES_CONCURRENT, t->beside_ns != 0);
    counter_add(COUNTER_BLOCKS_MARKED, t->totals.n_live);
    counter_add(COUNTER_BYTES_MARKED, t->totals.live_bytes);
    counter_add(COUNTER_ROOTS_SCANNED_BYTES, t->roots_bytes);
    counter_add(COUNTER_STOP_NS_TOTAL, t->phase_ns[PHASE_STOP]);
    counter_add(COUNTER_MARK_NS_TOTAL, t->phase_ns[PHASE_MARK]);
    counter_raise(COUNTER_MARK_STACK_MAX, mark_stats.stack_peak_bytes);
    counter_add(COUNTER_CYCLE_CPU_NS_TOTAL, t->cpu_ns);
    if (cycle_mode() == MODE_REPORT)
        return;
    counter_add(COUNTER_BLOCKS_RECLAIMED, t->totals.n_dead);
    counter_add(COUNTER_BYTES_RECLAIMED, t->totals.dead_bytes);
}

/* Nothing is taken in mode report, so all of it is still in use. */
static void cycle_tell_pacer(const struct trace_cycle *t)
{
    size_t live = t->totals.live_bytes, dead = t->totals.dead_bytes;
    bool is_report = cycle_mode() == MODE_REPORT;
    if (probation_is_on() && !is_report)
        dead = t->totals.suspect_bytes; /* what this cycle found, and the next one will take */
    dead += t->totals.unheld_bytes;
    pacer_cycle_done(t->skip == SKIP_NONE, is_report ? live + dead : live, is_report ? 0 : dead, t->cpu_ns);
}

/* BEGIN comes late where nothing announced the cycle. */
static void cycle_raise_events(const struct trace_cycle *t)
{
    if (t->skip != SKIP_OFF)
        event_raise(pacer_is_announced() ? EVENT_END : EVENT_BEGIN | EVENT_END);
    if (t->cause == CYCLE_LIMIT || t->cause == CYCLE_NO_MEMORY)
        event_raise(EVENT_LIMIT);
}

static void cycle_account(struct cycle *c)
{
    struct trace_cycle *t = &c->trace;
    if (t->skip == SKIP_TWIN) {
        pacer_look_again();
        return;
    }
    t->cycle_no = ++cycle_state.n_tried;
    if (t->skip == SKIP_NONE)
        cycle_count_complete(t);
    else if (cycle_skips[t->skip].counter != COUNTER_COUNT)
        counter_add_skip(cycle_skips[t->skip].counter);
    cycle_raise_events(t);
    cycle_tell_pacer(t);
    withhold_after_cycle(t->cause, t->skip, &t->totals);
    t->goal_bytes = pacer_goal_bytes();
}

/* A call in a critical section is a handler's that interrupted us, or one of our own phases'. */
enum cycle_skip cycle_run(enum cycle_cause cause, struct trace_cycle *told)
{
    struct cycle c = {.trace = {.cause = cause}};
    told->skip = SKIP_BUSY; /* which is not told */
    if (os_tls.critical != 0) {
        counter_add_skip(COUNTER_SKIP_NESTED);
        return SKIP_NESTED;
    }
    os_critical_enter();
    if (!cycle_gate_try_enter()) {
        os_critical_leave();
        counter_add_skip(cycle_skips[SKIP_BUSY].counter);
        return SKIP_BUSY;
    }
    cycle_attempt(&c);
    if (c.has_split) {
        c.trace.end_ns = os_clock_ns();
        cycle_state.first = c.trace;
    }
    if (c.has_split && cause == CYCLE_EXPLICIT)
        cycle_attempt(&c);
    cycle_account(&c);
    cycle_gate_leave();
    os_critical_leave();
    finalizer_wake();
    *told = c.trace;
    return c.trace.skip;
}

void cycle_tell(const struct trace_cycle *told)
{
    if (told->skip != SKIP_BUSY && told->skip != SKIP_OFF && told->skip != SKIP_TWIN)
        trace_write(told);
}
