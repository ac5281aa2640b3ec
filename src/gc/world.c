/* Stopping the world; see world.h.
 *
 * Algorithm
 *     1. table of registered threads by tid (REGISTRY is held for that alone, before the stop begins)
 *     2. each of them gets a slot and is claimed: its gate is held if it is published, else it is signalled
 *     3. wait until each claimed thread has answered; who is silent is looked up in /proc (world_watch.c)
 *     4. until their number or a listing proves that nobody is missing: list the tasks of the process, claim those that have no
 *        slot, and again from 3. Mostly the number does. A listing takes longer, and a descriptor while threads run, which may be closing
 *        numbers that they never opened.
 * What the number proves. Threads that stand still exist, so when as many exist as stand, there are no others.
 * What a listing proves. The kernel walks its list of threads, to whose end new threads are added, so a thread can
 * only be missed when one that was already reported disappears while the listing is read. Threads that stand still do
 * not. So a listing that reports no thread without slot and none that counts as gone misses nobody. One that reports
 * a gone thread (a zombie leader, a worker of the kernel, a thread in its last throes) counts only if the one before
 * it was the same.
 * Owns      the world's scratch: slots, watches, table, list of ids.
 */
#include "gc/world.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "gc/world_int.h"
#include "heap/meta.h"
#include "heap/tcache.h"
#include "os/critical_inl.h"

#define WORLD_SPARE_THREADS 64u
#define WORLD_DEADLINE_NS UINT64_C(500000000)
#define WORLD_DEADLINE_NS_PER_THREAD UINT64_C(1000000)

struct world world;

bool world_is_stopped(void)
{
    return world.is_stopped;
}

size_t world_n_slots(void)
{
    return world.n_slots;
}

const struct os_stop_slot *world_slot(size_t slot_idx)
{
    ASSERT(slot_idx < world.n_slots);
    return &world.slots[slot_idx];
}

size_t world_capacity(void)
{
    return world.capacity;
}

/* ---- the table by tid: open addressing, at most half full ---------------------------------------------------- */

static struct world_entry *world_find(pid_t tid)
{
    size_t i = (uint32_t)tid * UINT32_C(0x9E3779B1) & world.table_mask;

    while (world.table[i].tid != tid && world.table[i].tid != 0)
        i = (i + 1) & world.table_mask;
    return &world.table[i];
}

/* The entry of tid, made if need be; NULL: the table is full. */
static struct world_entry *world_enter(pid_t tid)
{
    struct world_entry *e = world_find(tid);

    if (e->tid == tid)
        return e;
    if (world.n_entries > world.table_mask / 2)
        return NULL;
    world.n_entries++;
    e->tid = tid;
    return e;
}

/* A record that no longer fits just means that its thread gets a signal. */
static void world_index_threads(void)
{
    memset(world.table, 0, (world.table_mask + 1) * sizeof(world.table[0]));
    world.n_entries = 0;
    os_lock(&os_thread_registry_lock);
    for (struct os_thread *t = os_thread_first(); t != NULL; t = t->next) {
        struct world_entry *e = t->tid > 0 && world.n_entries < world.capacity ? world_enter(t->tid) : NULL;

        if (e != NULL)
            e->thread = t;
    }
    os_unlock(&os_thread_registry_lock);
}

/* ---- scratch ------------------------------------------------------------------------------------------------- */

static void *world_carve(char **at, size_t size_bytes)
{
    void *p = *at;

    *at += bits_round_up(size_bytes, META_UNIT);
    return p;
}

/* Lays out all tables for `capacity` threads; with base NULL only the size is found. */
static size_t world_layout(char *base, size_t capacity)
{
    size_t table_size = (size_t)1 << (bits_log2_floor(capacity) + 3); /* two ids per thread: a record's and a task's */
    char *at = base;

    world.slots = world_carve(&at, capacity * sizeof(world.slots[0]));
    world.watches = world_carve(&at, capacity * sizeof(world.watches[0]));
    world.open = world_carve(&at, capacity * sizeof(world.open[0]));
    world.tids = world_carve(&at, (capacity + 1) * sizeof(world.tids[0]));
    world.table = world_carve(&at, table_size * sizeof(world.table[0]));
    world.table_mask = table_size - 1;
    world.capacity = base != NULL ? capacity : 0;
    return (size_t)(at - base);
}

static bool world_reserve(size_t capacity)
{
    char *base;

    if (capacity <= world.capacity)
        return true;
    base = meta_scratch_reserve(SCRATCH_WORLD, world_layout(NULL, capacity));
    if (base == NULL)
        return false;
    world_layout(base, capacity);
    memset(world.slots, 0, capacity * sizeof(world.slots[0])); /* another layout lay here before */
    return true;
}

/* Number of threads, or -errno. The room for their ids doubles until they fit. */
static long world_count_threads(void)
{
    long n = -E2BIG;

    for (size_t room = WORLD_SPARE_THREADS; n == -E2BIG; room = world.capacity * 2) {
        if (!world_reserve(room))
            return -ENOMEM;
        n = os_task_list(world.tids, world.capacity + 1);
    }
    return n;
}

/* Listing a thousand threads takes a third of a millisecond; their number costs one call, and is believed unless the last
 * stop did not find it so. */
static long world_n_threads(void)
{
    long n = world.had_room ? os_task_count() : 0;

    return n > 0 ? n : world_count_threads();
}

enum cycle_skip world_prepare(void)
{
    long n;

    ASSERT(!world.is_stopped && os_tls.critical != 0);
    if (os_seccomp_is_on())
        return SKIP_SECCOMP;
    if (os_stop_prepare() != 0)
        return SKIP_NOT_STOPPED;
    n = world_n_threads();
    if (n == -ENOMEM)
        return SKIP_NO_MEMORY;
    if (n < 0)
        return SKIP_NO_PROC;
    return world_reserve((size_t)n + (size_t)n / 2 + WORLD_SPARE_THREADS) ? SKIP_NONE : SKIP_NO_MEMORY;
}

/* ---- claiming threads ---------------------------------------------------------------------------------------- */

static bool world_has_tight_gates(void)
{
    if (world.gates == WORLD_GATES_UNKNOWN)
        world.gates = os_gate_is_tight() ? WORLD_GATES_TIGHT : WORLD_GATES_LOOSE;
    return world.gates == WORLD_GATES_TIGHT;
}

static bool world_is_at_gate(const struct os_thread *t)
{
    return t != NULL && __atomic_load_n(&t->gate, __ATOMIC_SEQ_CST) != OS_GATE_RUNNING &&
           (LOAD_ONCE(t->is_deaf) || world_has_tight_gates());
}

/* The record may have passed to another thread since it was indexed; then that thread's gate is given back. */
static bool world_hold_gate(struct os_stop_slot *slot)
{
    uint32_t held = OS_GATE_HELD;

    if (!world_is_at_gate(slot->thread) || !os_gate_hold(slot->thread))
        return false;
    if (slot->thread->tid == slot->tid)
        return true;
    __atomic_compare_exchange_n(&slot->thread->gate, &held, OS_GATE_PUBLISHED, false, __ATOMIC_SEQ_CST,
                                __ATOMIC_RELAXED);
    slot->thread = NULL;
    return false;
}

/* A signal that could not be queued is tried again like one that came at a bad moment. */
void world_signal(uint32_t slot_idx)
{
    int err = os_stop_send(slot_idx);

    world.n_refused += err == -EAGAIN;
    if (err != 0)
        __atomic_store_n(&world.slots[slot_idx].state, err == -ESRCH ? OS_STOP_GONE : OS_STOP_BUSY, __ATOMIC_RELAXED);
}

static void world_claim(uint32_t slot_idx)
{
    struct os_stop_slot *slot = &world.slots[slot_idx];

    if (world_hold_gate(slot)) {
        slot->state = OS_STOP_PUBLISHED;
        return;
    }
    if (slot->thread == NULL && world_was_deaf(slot->tid) && world_is_gone(slot->tid)) {
        slot->state = OS_STOP_GONE;
        return;
    }
    world_signal(slot_idx);
    world_watch(slot_idx);
}

static bool world_add_slot(struct world_entry *e)
{
    struct os_stop_slot *slot = &world.slots[world.n_slots];

    if (world.n_slots == world.capacity) {
        world.had_room = false;
        return false;
    }
    memset(slot, 0, sizeof(*slot));
    if (world.n_slots + 1 < world.capacity)
        slot[1].tid = 0; /* where the handlers and os_stop_end find the end of the list */
    slot->tid = e->tid;
    slot->thread = e->thread;
    e->slot_no = (uint32_t)++world.n_slots;
    world_claim(e->slot_no - 1);
    return true;
}

struct world_look {
    size_t n_listed;
    size_t n_new;  /* without slot before, or alive again under the same id */
    size_t n_gone; /* listed though they count as gone */
    bool has_self;
};

/* A thread of the list. false: no room for it. */
static bool world_meet(pid_t tid, struct world_look *look)
{
    struct world_entry *e = world_enter(tid);

    if (e == NULL)
        return false;
    if (e->slot_no == 0) {
        look->n_new++;
        return world_add_slot(e);
    }
    if (world.slots[e->slot_no - 1].state == OS_STOP_GONE) {
        look->n_gone++;
        if (!world_is_gone(tid)) { /* the id came back as another thread, or the kernel was quicker than we thought */
            look->n_new++;
            world.slots[e->slot_no - 1].thread = NULL;
            world_claim(e->slot_no - 1);
        }
    }
    return true;
}

static enum cycle_skip world_list(struct world_look *look)
{
    long n = os_task_list(world.tids, world.capacity + 1);

    if (n == -E2BIG)
        world.had_room = false;
    if (n < 0)
        return n == -E2BIG ? SKIP_NOT_STOPPED : SKIP_NO_PROC;
    look->n_listed = (size_t)n;
    for (long i = 0; i < n; i++) {
        if (world.tids[i] == world.self_tid)
            look->has_self = true;
        else if (!world_meet(world.tids[i], look))
            return SKIP_NOT_STOPPED;
    }
    return look->has_self ? SKIP_NONE : SKIP_NO_PROC;
}

/* Nobody else was ever registered, and the kernel counts one thread of ours. */
static bool world_is_alone(void)
{
    return world.n_entries <= 1 && os_task_count() == 1;
}

/* All that were met stand still, and with the caller they are as many as exist. */
static bool world_is_complete(void)
{
    for (size_t i = 0; i < world.n_slots; i++)
        if (world.slots[i].state == OS_STOP_GONE)
            return false;
    return os_task_count() == (long)world.n_slots + 1;
}

/* ---- stop and start ------------------------------------------------------------------------------------------ */

/* A record whose thread is no more: many of them would leave no slot for others. */
static void world_drop_last(struct world_entry *e)
{
    uint32_t slot_idx = (uint32_t)--world.n_slots;

    world.slots[slot_idx].tid = 0;
    world.n_open -= world.n_open != 0 && world.open[world.n_open - 1] == slot_idx;
    e->slot_no = 0;
}

/* None is missed by that: who is not known shows in the number. */
static enum cycle_skip world_stop_registered(void)
{
    for (size_t i = 0; i <= world.table_mask; i++) {
        struct world_entry *e = &world.table[i];

        if (e->tid == 0 || e->tid == world.self_tid)
            continue;
        if (!world_add_slot(e))
            return SKIP_NOT_STOPPED;
        if (world.slots[world.n_slots - 1].state == OS_STOP_GONE)
            world_drop_last(e);
    }
    return world_await();
}

static enum cycle_skip world_stop_all(void)
{
    struct world_look last = {0, 0, 0, false};
    enum cycle_skip first;

    if (!os_task_is_numbered_as_here())
        return SKIP_NO_PROC;
    if (world_is_alone())
        return SKIP_NONE;
    first = world_stop_registered();
    if (first != SKIP_NONE || world_is_complete())
        return first;
    while (os_clock_ns() < world.deadline_ns) {
        struct world_look look = {0, 0, 0, false};
        enum cycle_skip skip = world_list(&look);

        if (skip != SKIP_NONE)
            return skip;
        if (look.n_new == 0 && (look.n_gone == 0 || (last.n_new == 0 && last.n_listed == look.n_listed)))
            return SKIP_NONE;
        skip = world_await();
        if (skip != SKIP_NONE)
            return skip;
        if (world_is_complete())
            return SKIP_NONE;
        last = look;
    }
    return SKIP_NOT_STOPPED;
}

/* The registry stands still now: threads that registered after the table was made get their record, and a record that
 * changed hands leaves its slot. */
static void world_attach_threads(void)
{
    for (size_t i = 0; i < world.n_slots; i++)
        if (world.slots[i].state == OS_STOP_STOPPED)
            world.slots[i].thread = NULL;
    for (struct os_thread *t = os_thread_first(); t != NULL; t = t->next) {
        struct world_entry *e = t->tid > 0 ? world_find(t->tid) : NULL;

        if (e != NULL && e->tid == t->tid && e->slot_no != 0 && world.slots[e->slot_no - 1].state == OS_STOP_STOPPED)
            world.slots[e->slot_no - 1].thread = t;
    }
}

enum cycle_skip world_stop(void)
{
    enum cycle_skip skip;

    ASSERT(!world.is_stopped && world.capacity != 0 && os_tls.critical != 0);
    world.self_tid = os_gettid();
    world.n_slots = 0;
    world.n_open = 0;
    world.gates = WORLD_GATES_UNKNOWN;
    world.slots[0].tid = 0;
    world_index_threads();
    world.deadline_ns = os_clock_ns() + WORLD_DEADLINE_NS + world.capacity * WORLD_DEADLINE_NS_PER_THREAD;
    os_stop_begin(world.slots, world.capacity);
    world.is_stopping = true;
    skip = world_stop_all();
    if (skip == SKIP_NONE && world.gates == WORLD_GATES_TIGHT && !os_gate_is_tight())
        skip = SKIP_NOT_STOPPED; /* a handler came while threads were being stopped */
    if (skip != SKIP_NONE) {
        world_start();
        return skip;
    }
    world.is_stopped = true;
    world.had_room = true;
    world_attach_threads();
    return SKIP_NONE;
}

void world_start(void)
{
    if (!world.is_stopping)
        return;
    world.is_stopped = false;
    world.is_stopping = false;
    os_stop_end();
}

/* ---- threads that are no more -------------------------------------------------------------------------------- */

static bool world_has_thread(pid_t tid)
{
    const struct world_entry *e = world_find(tid);

    if (tid == world.self_tid)
        return true;
    return e->tid == tid && e->slot_no != 0 && world.slots[e->slot_no - 1].state != OS_STOP_GONE;
}

void world_reap(void)
{
    world_assert_stopped();
    tcache_unpark_all();
    for (struct tcache *tc = tcache_first(); tc != NULL; tc = tc->next)
        if (tc->is_active && tc != tcache_self && !world_has_thread(tc->tid))
            tcache_abandon(tc);
}

void world_fork_child(void)
{
    world.is_stopped = false;
    world.is_stopping = false;
    world.had_room = false;
    world.n_slots = 0;
}
