/* When to collect; see pacer.h.
 *
 * Equations. live: bytes found reachable by the last cycle; used: bytes of blocks handed out and not freed.
 *     base     = max(live * percent / 100, floor - live, a page)           distance to the next cycle
 *     distance = base * stretch, at most max(base, min(4 * live + floor, available / 4))
 *     goal     = live + distance;  a cycle is due by growth when used >= goal
 *     stretch    doubles when a cycle recovered less than 1/8 of what was used, halves from 1/4, is 1 from
 *                1/2 on. A program that frees what it no longer needs so pays for a logarithmic number.
 *     budget     a cycle took c of CPU time: by growth, the next waits until the process has used
 *                c * (100 - b) / b more, but not until used exceeds the goal by a quarter of available.
 *                b is the option, at least 25 after a cycle that recovered 1/4 of what was used, and at
 *                least 50 after 1/2: where collecting is what keeps the program small, more memory would
 *                cost more than the cycles, in fresh pages and in cache. After one that recovered little, c
 *                grows with used and b is the option / stretch: a program that frees everything itself pays
 *                for one or two small cycles, whatever it grows to
 *     limit      goal <= limit - limit/16, but at least live + max(limit/64, 1 MiB). Due as well when so much of
 *                the limit is held, in whatever form: blocks, holes between them, free memory that the kernel has
 *                not got back, structures of ours; and, where it is a control group's, what everybody else in the
 *                group takes. Free memory goes back first, and an eighth of the holes is filled in between. Of the
 *                budget only b = 48 binds it: a limit that is too small for what is alive halves the speed, and
 *                then memory goes beyond it.
 *     garbage    once the program uses gc_malloc, it leaves freeing to us: floor is a quarter, stretch is
 *                always 1 and b at least 50, and 75 where used exceeds the goal by the whole distance. What grows and lives then costs a logarithmic number of cycles
 *                by itself. Where cycles are cheap, they come earlier than percent says (pacer_thrift.h).
 *     reuse      what a cycle frees is used again until the next: where it recovered a quarter of what was used,
 *                free memory stays for twice the time between the last two
 *     announced  where somebody listens for the beginning of cycles, when an eighth of the distance is left
 * `used` is first the heap's estimate, an upper bound that costs one load; only when that reaches the goal
 * is it counted exactly. `check_at` is the estimate from which on it is worth a look again: it moves ahead
 * after each look that found no cycle due, so that looking costs a small share of what is allocated in
 * between.
 * Locks  none: all fields are atomic and each is written with one store; a lost update costs a cycle too
 *         many or too few.
 */
#include "gc/pacer.h"

#include "base/compiler.h"
#include "base/size.h"
#include "gc/event.h"
#include "gc/finalizer.h"
#include "gc/pacer_thrift.h"
#include "heap/arena.h"
#include "heap/heap.h"
#include "heap/meta.h"
#include "os/os.h"

enum {
    PACER_STRETCH_MAX = 64,
    PACER_SCALED_STRETCH = 2, /* from here on a cycle's cost is taken to grow with the heap */
    PACER_GROWTH_FACTOR = 4,
    PACER_LOOK_SHARE = 32,
    PACER_ANNOUNCED_SHARE = 8, /* of the distance: what is left of it when the next cycle is announced */
    PACER_MAX_SKIP_SHIFT = 6,
    PACER_TWIN_LOOKS = 4, /* in the time of one: a clone that is done should not wait for long */
    PACER_DEFAULT_PERCENT = 100,
    PACER_DEFAULT_BUDGET = 10,
    PACER_FAIR_BUDGET = 25, /* after a cycle that recovered something */
    PACER_MOST_BUDGET = 50, /* after one that recovered much */
    PACER_LIMIT_BUDGET = 48, /* for the limit: half, with what a cycle does before and after the stop, which is not counted */
    PACER_FAR_BUDGET = 75,  /* where nobody but us frees, and the goal is far behind */
    PACER_GARBAGE_FLOOR_SHARE = 4,
    PACER_OVERDUE_SHARE = 4,
    PACER_RESERVE_SHARE = 16, /* of a limit: not ours to fill */
    PACER_HOLES_SHARE = 8,
};
#define PACER_DEFAULT_FLOOR ((size_t)64 << 20)
#define PACER_LOOK_MIN_BYTES ((size_t)1 << 20)
#define PACER_PAGE_BYTES ((size_t)4096)
#define PACER_AVAILABLE_NS ((uint64_t)100 * 1000 * 1000)

bool pacer_stress_is_on;

static struct {
    struct pacer_config config; /* percent and limit change at run time */
    size_t live_bytes;
    size_t limit_bytes;                         /* 0 none; of the config or of the cgroup */
    size_t growth_goal_bytes, limit_goal_bytes; /* SIZE_MAX: never */
    size_t check_at_bytes;
    unsigned stretch;
    unsigned n_skips;        /* in a row */
    uint64_t cpu_allowed_ns;       /* process CPU time from which on growth counts again */
    uint64_t limit_cpu_allowed_ns; /* the same for the limit */
    uint64_t far_cpu_allowed_ns;   /* and far beyond the goal */
    uint64_t cpu_done_ns;          /* process CPU time when the last cycle was over */
    uint64_t done_ns;              /* when that was; 0: there was none */
    uint64_t live_cpu_ns;          /* process CPU time when live_bytes were, and that of cycles given up since; UINT64_MAX: unknown */
    size_t thrifty_bytes;          /* distance at which cycles take the share of the time that is asked for */
    size_t available_bytes;        /* what the kernel said ... */
    uint64_t available_until_ns;   /* ... and how long that counts */
    uint64_t clone_cpu_ns;         /* of the cycle that is about to be over */
    bool expects_garbage;
    bool is_announced;
    uint64_t n_slow_paths;   /* for stress */
} pacer = {
    .config = {.percent = PACER_DEFAULT_PERCENT,
               .floor_bytes = PACER_DEFAULT_FLOOR,
               .budget_percent = PACER_DEFAULT_BUDGET},
    .growth_goal_bytes = PACER_DEFAULT_FLOOR,
    .limit_goal_bytes = SIZE_MAX,
    .check_at_bytes = PACER_DEFAULT_FLOOR,
    .stretch = 1,
    .thrifty_bytes = SIZE_MAX,
};

/* ---- the goal ---- */

static size_t pacer_floor(void)
{
    size_t floor_bytes = pacer.config.floor_bytes;
    return LOAD_ONCE(pacer.expects_garbage) ? floor_bytes / PACER_GARBAGE_FLOOR_SHARE : floor_bytes;
}

static size_t pacer_growth_goal(size_t live)
{
    int percent = LOAD_ONCE(pacer.config.percent);
    size_t floor_bytes = pacer_floor();
    if (percent < 0)
        return SIZE_MAX;
    size_t to_floor = floor_bytes > live ? floor_bytes - live : 0;
    size_t by_percent = thrift_limit(size_mul(live / 100, (size_t)percent), LOAD_ONCE(pacer.thrifty_bytes));
    size_t base = size_max(size_max(by_percent, to_floor), PACER_PAGE_BYTES);
    if (pacer.stretch == 1)
        return size_add(live, base);
    size_t most =
        size_min(size_add(size_mul(live, PACER_GROWTH_FACTOR), floor_bytes), os_vm_available() / 4);
    return size_add(live, size_min(size_mul(base, pacer.stretch), size_max(base, most)));
}

/* Least distance between two cycles by the limit. */
static size_t pacer_limit_distance(size_t limit)
{
    return size_max(limit / 64, PACER_LOOK_MIN_BYTES);
}

static size_t pacer_limit_goal(size_t live)
{
    size_t limit = pacer.limit_bytes;
    if (limit == 0)
        return SIZE_MAX;
    return size_max(limit - limit / PACER_RESERVE_SHARE, size_add(live, pacer_limit_distance(limit)));
}

static size_t pacer_held(void)
{
    return heap_committed_bytes() - size_min(heap_purged_bytes(), heap_committed_bytes()) + meta_used_bytes();
}

/* How much more may be held before the limit is near. */
static size_t pacer_room(void)
{
    size_t limit = LOAD_ONCE(pacer.limit_bytes), reserve = limit / PACER_RESERVE_SHARE, held = pacer_held();
    if (limit == 0)
        return SIZE_MAX;
    size_t room = limit > held ? limit - held : 0;
    if (pacer.config.limit_is_cgroup)
        room = size_min(room, os_vm_available());
    return room > reserve ? room - reserve : 0;
}

/* Half of the room is used up by then, unless it is taken in pieces larger than what is asked for. */
static size_t pacer_room_look_bytes(size_t used)
{
    return size_add(used, size_max(pacer_room() / 2, PACER_LOOK_MIN_BYTES));
}

/* Behind a filter of system calls no cycle comes, and the strict one kills for waking a thread. */
static bool pacer_may_announce(void)
{
    return event_is_wanted() && !LOAD_ONCE(pacer.is_announced) && cycle_mode() != MODE_OFF && !os_seccomp_is_on();
}

/* The use from which on there is something to do. */
static size_t pacer_look_bytes(void)
{
    size_t goal = pacer_goal_bytes(), live = LOAD_ONCE(pacer.live_bytes);
    if (goal == SIZE_MAX || goal <= live || !pacer_may_announce())
        return goal;
    return goal - (goal - live) / PACER_ANNOUNCED_SHARE;
}

void pacer_look_early(void)
{
    STORE_ONCE(pacer.check_at_bytes, size_min(LOAD_ONCE(pacer.check_at_bytes), pacer_look_bytes()));
}

static void pacer_set_goal(size_t live)
{
    STORE_ONCE(pacer.growth_goal_bytes, pacer_growth_goal(live));
    STORE_ONCE(pacer.limit_goal_bytes, pacer_limit_goal(live));
    STORE_ONCE(pacer.check_at_bytes, size_min(pacer_look_bytes(), pacer_room_look_bytes(live)));
}

size_t pacer_limit_bytes(void)
{
    return LOAD_ONCE(pacer.limit_bytes);
}

size_t pacer_goal_bytes(void)
{
    return size_min(LOAD_ONCE(pacer.growth_goal_bytes), LOAD_ONCE(pacer.limit_goal_bytes));
}

/* ---- settings ---- */

static void pacer_read_limit(void)
{
    size_t limit = pacer.config.limit_bytes;
    if (pacer.config.limit_is_cgroup) {
        size_t cgroup = os_vm_cgroup_limit();
        limit = cgroup == SIZE_MAX ? 0 : cgroup;
    }
    STORE_ONCE(pacer.limit_bytes, limit);
    arena_expect_limit(limit != 0);
}

void pacer_init(const struct pacer_config *config)
{
    pacer.config = *config;
    STORE_ONCE(pacer_stress_is_on, config->stress != 0);
    pacer.live_bytes = 0;
    pacer.stretch = 1;
    pacer.n_skips = 0;
    pacer.cpu_allowed_ns = pacer.limit_cpu_allowed_ns = pacer.far_cpu_allowed_ns = pacer.live_cpu_ns = 0;
    pacer.expects_garbage = config->expects_garbage;
    pacer.is_announced = false;
    pacer.thrifty_bytes = SIZE_MAX;
    pacer.n_slow_paths = 0;
    pacer.done_ns = pacer.available_until_ns = 0;
    pacer_read_limit();
    pacer_set_goal(0);
}

void pacer_set_percent(int percent)
{
    STORE_ONCE(pacer.config.percent, percent);
    pacer_set_goal(LOAD_ONCE(pacer.live_bytes));
}

void pacer_set_limit(size_t bytes)
{
    pacer.config.limit_is_cgroup = false;
    STORE_ONCE(pacer.config.limit_bytes, bytes);
    pacer_read_limit();
    pacer_set_goal(LOAD_ONCE(pacer.live_bytes));
}

void pacer_expect_garbage(void)
{
    if (LOAD_ONCE(pacer.expects_garbage))
        return;
    arena_expect_dense();
    pacer.stretch = 1;
    STORE_ONCE(pacer.expects_garbage, true);
    pacer_set_goal(LOAD_ONCE(pacer.live_bytes));
}

/* ---- is it due? ---- */

static bool pacer_is_cpu_used(uint64_t allowed_ns)
{
    return allowed_ns == 0 || os_clock_cpu_ns() >= allowed_ns;
}

/* The wait since the last cycle, longer in the proportion in which the heap grew since. */
static uint64_t pacer_scaled_ns(uint64_t allowed_ns, size_t used)
{
    size_t live = LOAD_ONCE(pacer.live_bytes);
    uint64_t done_ns = LOAD_ONCE(pacer.cpu_done_ns);
    if (allowed_ns == 0 || pacer.stretch < PACER_SCALED_STRETCH || used <= live || live == 0)
        return allowed_ns;
    return done_ns + (uint64_t)((double)(allowed_ns - done_ns) * ((double)used / (double)live));
}

/* Two looks that come close together ask once: the answer takes twenty system calls, one of which interrupts all threads, and
 * while the budget keeps a cycle back, each MB that is handed out brings a look. */
static size_t pacer_available(void)
{
    uint64_t now_ns = os_clock_coarse_ns();
    if (now_ns >= LOAD_ONCE(pacer.available_until_ns)) {
        STORE_ONCE(pacer.available_bytes, os_vm_available());
        STORE_ONCE(pacer.available_until_ns, now_ns + PACER_AVAILABLE_NS);
    }
    return LOAD_ONCE(pacer.available_bytes);
}

/* Half of the time is not enough for a program of gc_malloc: beyond its goal by the whole distance to it. */
static bool pacer_is_far_beyond(size_t used, size_t goal)
{
    return LOAD_ONCE(pacer.expects_garbage) && used - goal > goal - LOAD_ONCE(pacer.live_bytes) &&
           pacer_is_cpu_used(LOAD_ONCE(pacer.far_cpu_allowed_ns));
}

/* A budget that lets memory run out would be dear: it ends where the heap is overdue by a quarter of what is
 * left. */
static bool pacer_is_within_budget(size_t used)
{
    if (pacer_is_cpu_used(pacer_scaled_ns(LOAD_ONCE(pacer.cpu_allowed_ns), used)))
        return true;
    size_t goal = LOAD_ONCE(pacer.growth_goal_bytes);
    return used > goal && (pacer_is_far_beyond(used, goal) || used - goal > pacer_available() / 4);
}

static size_t pacer_look_step(size_t used)
{
    return size_max(size_max(pacer_goal_bytes(), used) / PACER_LOOK_SHARE, PACER_LOOK_MIN_BYTES);
}

/* Not now: look again when some more has been handed out, and at the limit in any case. */
static void pacer_look_later(size_t used)
{
    size_t at = size_max(pacer_look_bytes(), size_add(used, pacer_look_step(used)));
    at = size_min(at, pacer_room_look_bytes(used));
    size_t limit = LOAD_ONCE(pacer.limit_goal_bytes);
    STORE_ONCE(pacer.check_at_bytes, limit > used ? size_min(at, limit) : at);
}

void pacer_look_again(void)
{
    size_t used = heap_used_estimate();
    STORE_ONCE(pacer.check_at_bytes, size_add(used, pacer_look_step(used) / PACER_TWIN_LOOKS));
}

static bool pacer_announce(size_t wanted)
{
    if (!pacer_may_announce() || wanted < pacer_look_bytes())
        return false;
    STORE_ONCE(pacer.is_announced, true);
    STORE_ONCE(pacer.check_at_bytes, size_min(pacer_goal_bytes(), pacer_room_look_bytes(wanted)));
    event_raise(EVENT_BEGIN);
    finalizer_wake();
    return true;
}

bool pacer_is_announced(void)
{
    return LOAD_ONCE(pacer.is_announced);
}

/* Free memory with content is given up first; what is in the holes is used again. */
static bool pacer_is_room_short(size_t used, size_t extra_bytes)
{
    size_t limit = LOAD_ONCE(pacer.limit_bytes), live = LOAD_ONCE(pacer.live_bytes);
    if (limit == 0 || pacer_room() > extra_bytes)
        return false;
    heap_trim(0);
    size_t held = pacer_held(), holes = held > live ? held - live : 0;
    size_t distance = size_max(pacer_limit_distance(limit), holes / PACER_HOLES_SHARE);
    return size_add(used, extra_bytes) >= size_add(live, distance) && pacer_room() <= extra_bytes;
}

static COLD bool pacer_is_due_slow(size_t extra_bytes, enum cycle_cause *cause)
{
    size_t limit = LOAD_ONCE(pacer.limit_goal_bytes), used = heap_used_estimate();
    bool is_within = pacer_is_within_budget(used);
    if (is_within || pacer_may_announce() || limit != SIZE_MAX) {
        used = heap_recount();
        is_within = is_within && pacer_is_within_budget(used); /* the estimate knows of no free */
    }
    size_t wanted = size_add(used, extra_bytes);
    if ((wanted >= limit || pacer_is_room_short(used, extra_bytes)) &&
        pacer_is_cpu_used(LOAD_ONCE(pacer.limit_cpu_allowed_ns))) {
        *cause = CYCLE_LIMIT;
        return true;
    }
    if (is_within && wanted >= LOAD_ONCE(pacer.growth_goal_bytes)) {
        *cause = CYCLE_GROWTH;
        return true;
    }
    if (!pacer_announce(wanted))
        pacer_look_later(used);
    return false;
}

bool pacer_is_due(size_t extra_bytes, enum cycle_cause *cause)
{
    if (pacer_is_stressed() &&
        __atomic_add_fetch(&pacer.n_slow_paths, 1, __ATOMIC_RELAXED) % pacer.config.stress == 0) {
        *cause = CYCLE_STRESS;
        return true;
    }
    if (LIKELY(size_add(heap_used_estimate(), extra_bytes) < LOAD_ONCE(pacer.check_at_bytes)))
        return false;
    return pacer_is_due_slow(extra_bytes, cause);
}

bool pacer_is_overdue(void)
{
    size_t goal = pacer_goal_bytes();
    return heap_used_estimate() >= size_add(goal, goal / PACER_OVERDUE_SHARE);
}

/* ---- after a cycle ---- */

/* A cycle that came long before its time (the program asked) says nothing about the distance. */
static void pacer_adapt(size_t live_bytes, size_t dead_bytes, uint64_t cpu_ns)
{
    size_t used = size_add(live_bytes, dead_bytes);
    if (used < pacer_goal_bytes() - pacer_goal_bytes() / 8)
        return;
    if (pacer.expects_garbage) {
        uint64_t begin_ns = os_clock_cpu_ns() - cpu_ns, from_ns = pacer.live_cpu_ns;
        struct thrift_past past = {LOAD_ONCE(pacer.live_bytes), live_bytes, dead_bytes,
                                   begin_ns > from_ns ? begin_ns - from_ns : 0, cpu_ns + pacer.clone_cpu_ns};
        if (from_ns != UINT64_MAX)
            STORE_ONCE(pacer.thrifty_bytes, thrift_distance(&past, pacer.config.budget_percent));
    }
    if (dead_bytes < used / 8 && !pacer.expects_garbage)
        pacer.stretch = pacer.stretch < PACER_STRETCH_MAX ? pacer.stretch * 2 : PACER_STRETCH_MAX;
    else if (dead_bytes >= used / 2)
        pacer.stretch = 1;
    else if (dead_bytes >= used / 4 && pacer.stretch > 1)
        pacer.stretch /= 2;
}

/* Percent of the CPU time that cycles like the last one may take. */
static unsigned pacer_budget(size_t live_bytes, size_t dead_bytes)
{
    unsigned budget = pacer.config.budget_percent, least = 0;
    size_t used = size_add(live_bytes, dead_bytes);
    if (pacer.expects_garbage || dead_bytes > used / 2)
        least = PACER_MOST_BUDGET;
    else if (dead_bytes > used / 4)
        least = PACER_FAIR_BUDGET;
    if (least == 0 && pacer.stretch >= PACER_SCALED_STRETCH)
        return budget > pacer.stretch ? budget / pacer.stretch : 1;
    return budget > least ? budget : least;
}

/* When the process, which has used now_ns, will have used so much that cpu_ns was the share. 0: now. */
static uint64_t pacer_cpu_after(uint64_t now_ns, uint64_t cpu_ns, unsigned percent)
{
    return percent == 0 || percent >= 100 ? 0 : now_ns + cpu_ns * (100 - percent) / percent;
}

/* A reason to skip mostly lasts: the distance to the next attempt doubles. */
static void pacer_back_off(void)
{
    unsigned shift = pacer.n_skips < PACER_MAX_SKIP_SHIFT ? pacer.n_skips : PACER_MAX_SKIP_SHIFT;
    pacer.n_skips++;
    size_t used = heap_used_estimate();
    STORE_ONCE(pacer.check_at_bytes, size_add(used, size_mul(pacer_look_step(used), (size_t)1 << shift)));
}

static void pacer_expect_reuse(size_t live_bytes, size_t dead_bytes)
{
    uint64_t now_ns = os_clock_ns(), last_ns = pacer.done_ns;
    bool is_reused = last_ns != 0 && dead_bytes >= size_add(live_bytes, dead_bytes) / 4;
    STORE_ONCE(pacer.done_ns, now_ns);
    heap_expect_reuse(is_reused ? 2 * (now_ns - last_ns) : 0);
}

static void pacer_set_budget(size_t live_bytes, size_t dead_bytes, uint64_t cpu_ns)
{
    uint64_t now_ns = os_clock_cpu_ns();
    STORE_ONCE(pacer.cpu_done_ns, now_ns);
    STORE_ONCE(pacer.cpu_allowed_ns, pacer_cpu_after(now_ns, cpu_ns, pacer_budget(live_bytes, dead_bytes)));
    STORE_ONCE(pacer.limit_cpu_allowed_ns, pacer_cpu_after(now_ns, cpu_ns, PACER_LIMIT_BUDGET));
    STORE_ONCE(pacer.far_cpu_allowed_ns, pacer_cpu_after(now_ns, cpu_ns, PACER_FAR_BUDGET));
}

void pacer_note_clone(uint64_t cpu_ns)
{
    pacer.clone_cpu_ns = cpu_ns;
}

void pacer_cycle_done(bool is_complete, size_t live_bytes, size_t dead_bytes, uint64_t cpu_ns)
{
    STORE_ONCE(pacer.is_announced, false);
    if (is_complete)
        pacer_adapt(live_bytes, dead_bytes, cpu_ns);
    pacer_set_budget(live_bytes, dead_bytes, cpu_ns + pacer.clone_cpu_ns);
    pacer.clone_cpu_ns = 0;
    if (!is_complete) {
        if (pacer.live_cpu_ns != UINT64_MAX)
            pacer.live_cpu_ns += cpu_ns;
        pacer_back_off();
        return;
    }
    pacer.live_cpu_ns = pacer.cpu_done_ns;
    pacer.n_skips = 0;
    pacer_read_limit();
    pacer_expect_reuse(live_bytes, dead_bytes);
    STORE_ONCE(pacer.live_bytes, live_bytes);
    pacer_set_goal(live_bytes);
}

/* The child's CPU clock begins at 0: the parent's instants would keep it from collecting for as long as the parent has
 * run. */
void pacer_fork_child(void)
{
    pacer.cpu_allowed_ns = pacer.limit_cpu_allowed_ns = pacer.far_cpu_allowed_ns = pacer.cpu_done_ns = 0;
    pacer.live_cpu_ns = UINT64_MAX;
}
