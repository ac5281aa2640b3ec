/* Waiting for the threads that were told to stop, and what to do about those that do not answer; see world_int.h.
 *
 * What    A thread answers within microseconds, unless it
 *             is in a fast path (BUSY: signalled again), in a critical section (answers when it leaves), not running
 *             yet, has exited between listing and delivery (never answers), is a worker of the kernel (never answers),
 *             sleeps uninterruptibly, is held by a debugger or blocks the signal by raw system call (no time is known).
 *         /proc tells which, first after WATCH_FIRST_NS of silence and then every WATCH_NEXT_NS. A thread that was
 *         found unable to answer WATCH_STUCK_LOOKS times running ends the attempt: the others must not wait for it.
 */
#include "gc/world_int.h"

#include "base/check.h"

#define WATCH_FIRST_NS UINT64_C(2000000)
#define WATCH_SECOND_NS UINT64_C(8000000)
#define WATCH_NEXT_NS UINT64_C(10000000)
#define WATCH_LOOKS_PER_PASS 64u     /* a look costs some 30 us: at most as long as between looks */
#define WATCH_STUCK_LOOKS 3u
#define WATCH_BUSY_NS UINT64_C(20000)  /* a fast path is some 50 instructions, but its thread may have been preempted */
#define WATCH_REFUSED_PASSES 20u    /* the kernel queues no signal for anybody: the user's limit is used up */
#define WATCH_SILENT_NS UINT64_C(100000)
#define WATCH_MANY 128u              /* with more threads than this open, passes are limited by time: */
#define WATCH_MANY_NS UINT64_C(100000)

/* Flags of task_struct as /proc shows them. The bits had other meanings in old kernels, so they count only together
 * with the mask that the kernel gives its workers: everything but SIGKILL and SIGSTOP, which no program can set by
 * libc. */
#define WATCH_PF_IO_WORKER 0x10u
#define WATCH_PF_USER_WORKER 0x4000u
#define WATCH_SIGNAL_BIT(sig) (UINT64_C(1) << ((sig)-1))
#define WATCH_WORKER_MASK (~(WATCH_SIGNAL_BIT(9) | WATCH_SIGNAL_BIT(19)))

/* A futex word that nobody wakes: sleeping on it is a pause. */
static uint32_t watch_never;

void world_watch(uint32_t slot_idx)
{
    struct world_watch *w = &world.watches[slot_idx];

    ASSERT(world.n_open < world.capacity);
    w->next_look_ns = os_clock_ns() + WATCH_FIRST_NS;
    w->n_looks = 0;
    w->n_stuck = 0;
    world.open[world.n_open++] = slot_idx;
}

/* ---- what /proc says ----------------------------------------------------------------------------------------- */

static bool watch_is_worker(const struct os_task_state *s)
{
    return (s->flags & (WATCH_PF_IO_WORKER | WATCH_PF_USER_WORKER)) != 0 &&
           (s->sig_blocked & WATCH_WORKER_MASK) == WATCH_WORKER_MASK;
}

static bool watch_is_gone_state(int err, const struct os_task_state *s)
{
    return err == 0 && (s->state == 0 || s->state == 'Z' || s->state == 'X' || s->state == 'x' || watch_is_worker(s));
}

static pid_t watch_deaf[WORLD_N_DEAF];
static uint32_t watch_n_deaf;

bool world_was_deaf(pid_t tid)
{
    for (size_t i = 0; i < WORLD_N_DEAF; i++)
        if (watch_deaf[i] == tid)
            return true;
    return false;
}

/* Not a thread that is just ending. */
static void watch_note_deaf(pid_t tid, const struct os_task_state *s)
{
    if ((watch_is_worker(s) || tid == os_getpid()) && !world_was_deaf(tid))
        watch_deaf[watch_n_deaf++ % WORLD_N_DEAF] = tid;
}

bool world_is_gone(pid_t tid)
{
    struct os_task_state s;
    int err = os_task_state(tid, &s);

    return watch_is_gone_state(err, &s);
}

/* Cannot answer for a time that we do not know. A new thread starts with all signals blocked, but it runs. */
static bool watch_is_stuck_state(const struct os_task_state *s)
{
    if (s->state == 'D' || s->state == 'T' || s->state == 't')
        return true;
    return s->state == 'S' && (s->sig_blocked & WATCH_SIGNAL_BIT(os_stop_signal_number())) != 0;
}

/* false: stuck for too long. */
static bool watch_look(uint32_t slot_idx, uint64_t now_ns)
{
    struct world_watch *w = &world.watches[slot_idx];
    struct os_task_state s;
    int err = os_task_state(world.slots[slot_idx].tid, &s);

    w->next_look_ns = now_ns + (w->n_looks++ == 0 ? WATCH_SECOND_NS : WATCH_NEXT_NS);
    if (watch_is_gone_state(err, &s)) {
        watch_note_deaf(world.slots[slot_idx].tid, &s);
        __atomic_store_n(&world.slots[slot_idx].state, OS_STOP_GONE, __ATOMIC_RELAXED);
        return true;
    }
    w->n_stuck = err == 0 && watch_is_stuck_state(&s) ? w->n_stuck + 1 : 0;
    return w->n_stuck < WATCH_STUCK_LOOKS;
}

static enum cycle_skip watch_look_at_silent(void)
{
    uint64_t now_ns = os_clock_ns();
    unsigned n_looks = 0;

    if (now_ns >= world.deadline_ns)
        return SKIP_NOT_STOPPED;
    for (size_t i = 0; i < world.n_open && n_looks < WATCH_LOOKS_PER_PASS; i++) {
        if (now_ns < world.watches[world.open[i]].next_look_ns)
            continue;
        n_looks++;
        if (!watch_look(world.open[i], now_ns))
            return SKIP_UNINTERRUPTIBLE;
    }
    return SKIP_NONE;
}

/* ---- waiting ------------------------------------------------------------------------------------------------- */

/* Drops the settled slots from the open ones and signals the busy ones again. How many were busy. */
static size_t watch_pass(void)
{
    size_t n_open = 0;
    size_t n_busy = 0;

    world.n_refused = 0;
    for (size_t i = 0; i < world.n_open; i++) {
        uint32_t slot_idx = world.open[i];
        /* pairs with the handler's answer */
        uint32_t state = __atomic_load_n(&world.slots[slot_idx].state, __ATOMIC_ACQUIRE);

        if (state == OS_STOP_STOPPED || state == OS_STOP_GONE)
            continue;
        if (state == OS_STOP_BUSY) {
            world_signal(slot_idx);
            n_busy++;
        }
        world.open[n_open++] = slot_idx;
    }
    world.n_open = n_open;
    return n_busy;
}

static void watch_pause(size_t n_busy)
{
    if (world.n_open > WATCH_MANY)
        os_futex_wait(&watch_never, 0, WATCH_MANY_NS);
    else
        os_stop_wait((uint32_t)world.n_open, n_busy != 0 ? WATCH_BUSY_NS : WATCH_SILENT_NS);
}

enum cycle_skip world_await(void)
{
    unsigned n_refused_passes = 0;

    for (;;) {
        size_t n_busy = watch_pass();
        enum cycle_skip skip;

        if (world.n_open == 0)
            return SKIP_NONE;
        n_refused_passes = world.n_refused == world.n_open ? n_refused_passes + 1 : 0;
        if (n_refused_passes > WATCH_REFUSED_PASSES)
            return SKIP_NOT_STOPPED;
        skip = watch_look_at_silent();
        if (skip != SKIP_NONE)
            return skip;
        watch_pause(n_busy);
    }
}
