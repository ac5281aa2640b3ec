/* A small world for the tests of stopping: stop every other thread of this process, look, let them run.
 *
 * What    The protocol of os.h as a storey above would use it, with a deadline instead
 *         of a policy. Threads of a test are told to end by `world_is_over`.
 */
#ifndef UNIT_OS_STOP_HARNESS_H
#define UNIT_OS_STOP_HARNESS_H

#include "os_harness.h"

#include <time.h>

enum {
    WORLD_N_SLOTS = 1024,
    WORLD_LOOK_AGAIN_MS = 10,
    WORLD_DEADLINE_MS = 5000,
};

static struct os_stop_slot world_slots[WORLD_N_SLOTS];
static size_t world_n_slots;
/* Not a bool: built with -fsanitize=bool, gcc 12 reads a volatile one once and never again. */
static volatile uint32_t world_is_over;
static unsigned world_n_busy, world_n_critical, world_n_held, world_n_gone;

static inline struct os_thread *world_find_thread(pid_t tid)
{
    struct os_thread *t;

    os_critical_enter();
    os_lock(&os_thread_registry_lock);
    for (t = os_thread_first(); t != NULL && t->tid != tid; t = t->next)
        ;
    os_unlock(&os_thread_registry_lock);
    os_critical_leave();
    return t;
}

static inline bool world_has_slot(pid_t tid)
{
    for (size_t i = 0; i < world_n_slots; i++) {
        if (world_slots[i].tid == tid && world_slots[i].state != OS_STOP_GONE)
            return true;
    }
    return false;
}

static inline void world_send(uint32_t idx)
{
    int err;

    do
        err = os_stop_send(idx);
    while (err == -EAGAIN);
    if (err != 0) {
        assert_int_equal(err, -ESRCH);
        world_slots[idx].state = OS_STOP_GONE;
        world_n_gone++;
    }
}

static inline void world_add(pid_t tid)
{
    struct os_stop_slot *slot = &world_slots[world_n_slots];

    assert_true(world_n_slots < WORLD_N_SLOTS);
    memset(slot, 0, sizeof(*slot));
    slot->tid = tid;
    slot->thread = world_find_thread(tid);
    world_n_slots++;
    if (slot->thread != NULL && os_gate_hold(slot->thread)) {
        slot->state = OS_STOP_PUBLISHED;
        world_n_held++;
        return;
    }
    world_send((uint32_t)world_n_slots - 1);
}

static inline bool world_add_new(void)
{
    static pid_t tids[WORLD_N_SLOTS];
    long n = os_task_list(tids, WORLD_N_SLOTS);
    bool is_any_new = false;

    assert_true(n > 0);
    for (long i = 0; i < n; i++) {
        if (tids[i] == os_gettid() || world_has_slot(tids[i]))
            continue;
        world_add(tids[i]);
        is_any_new = true;
    }
    return is_any_new;
}

/* How many threads are not stopped yet; those that were busy are signalled again. */
static inline size_t world_count_silent(bool must_look)
{
    size_t n_silent = 0;

    for (size_t i = 0; i < world_n_slots; i++) {
        uint32_t state = __atomic_load_n(&world_slots[i].state, __ATOMIC_ACQUIRE);
        struct os_task_state task;

        if (state == OS_STOP_STOPPED || state == OS_STOP_PUBLISHED || state == OS_STOP_GONE)
            continue;
        n_silent++;
        world_n_busy += state == OS_STOP_BUSY;
        world_n_critical += state == OS_STOP_CRITICAL;
        if (state == OS_STOP_BUSY)
            world_send((uint32_t)i);
        else if (must_look && os_task_state(world_slots[i].tid, &task) == 0 && !os_task_is_stoppable(&task)) {
            world_slots[i].state = OS_STOP_GONE;
            world_n_gone++;
        }
    }
    return n_silent;
}

static inline void world_tell_silent(void)
{
    for (size_t i = 0; i < world_n_slots; i++) {
        struct os_task_state task;

        if (world_slots[i].state == OS_STOP_STOPPED || world_slots[i].state == OS_STOP_PUBLISHED)
            continue;
        os_task_state(world_slots[i].tid, &task);
        print_error("slot %zu tid %d state %u: task %c flags %#lx blocked %#lx\n", i, world_slots[i].tid,
                    world_slots[i].state, task.state != 0 ? task.state : '-', (unsigned long)task.flags,
                    (unsigned long)task.sig_blocked);
    }
}

static inline bool world_wait(void)
{
    uint64_t begin_ns = os_clock_ns();

    while (world_count_silent(os_clock_ns() - begin_ns > WORLD_LOOK_AGAIN_MS * 1000000ull) != 0) {
        if (os_clock_ns() - begin_ns > WORLD_DEADLINE_MS * 1000000ull) {
            world_tell_silent();
            return false;
        }
        os_stop_wait(1, WORLD_LOOK_AGAIN_MS * 1000000ull);
    }
    return true;
}

/* Stop all; false: somebody did not answer in time. In either case world_start must follow. */
static inline bool world_stop(void)
{
    int err;

    while ((err = os_stop_prepare()) == -EBUSY)
        ;
    assert_int_equal(err, 0);
    world_n_slots = 0;
    memset(&world_slots[0], 0, sizeof(world_slots[0]));
    os_stop_begin(world_slots, WORLD_N_SLOTS);
    do {
        world_add_new();
        if (!world_wait())
            return false;
    } while (world_add_new());
    return true;
}

static inline void world_start(void)
{
    os_stop_end();
}

static inline struct os_stop_slot *world_slot_of(pid_t tid)
{
    for (size_t i = 0; i < world_n_slots; i++) {
        if (world_slots[i].tid == tid)
            return &world_slots[i];
    }
    return NULL;
}

static inline pthread_t world_spawn(void *(*fn)(void *), void *arg)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, fn, arg), 0);
    return thread;
}

/* ---- the threads of a test ------------------------------------------------------------------ */

enum { N_THREADS_MAX = 64 };

/* One per thread of a test: counted by it, looked at while it is stopped. */
struct worker {
    _Alignas(64) volatile uint64_t n_steps;
    volatile uint32_t is_inside; /* in a critical section or in a fast path */
    volatile pid_t tid;
};
static struct worker workers[N_THREADS_MAX];
static pthread_t threads[N_THREADS_MAX];
static unsigned n_workers, n_threads;

static inline void *spin(void *arg)
{
    struct worker *w = arg;

    while (!world_is_over)
        w->n_steps++;
    return NULL;
}

static inline void start_kind(void *(*fn)(void *), unsigned n)
{
    while (n-- > 0) {
        assert_true(n_threads < N_THREADS_MAX && n_workers < N_THREADS_MAX);
        threads[n_threads++] = world_spawn(fn, &workers[n_workers++]);
    }
}

static inline void end_all(void)
{
    world_is_over = true;
    while (n_threads > 0)
        pthread_join(threads[--n_threads], NULL);
    world_is_over = false;
    n_workers = 0;
    memset(workers, 0, sizeof(workers));
}

static inline void assert_nothing_moves(unsigned n_pause_us)
{
    uint64_t before[N_THREADS_MAX];
    struct timespec ts = {0, n_pause_us * 1000L};

    for (unsigned i = 0; i < n_workers; i++) {
        before[i] = workers[i].n_steps;
        assert_int_equal(workers[i].is_inside, 0);
    }
    if (n_pause_us != 0)
        nanosleep(&ts, NULL);
    for (unsigned i = 0; i < n_workers; i++)
        assert_true(workers[i].n_steps == before[i]);
}

static inline void assert_all_move(void)
{
    uint64_t before[N_THREADS_MAX];
    uint64_t begin_ns = os_clock_ns();

    for (unsigned i = 0; i < n_workers; i++)
        before[i] = workers[i].n_steps;
    for (unsigned i = 0; i < n_workers; i++) {
        while (workers[i].n_steps == before[i] && os_clock_ns() - begin_ns < 20000000000ull)
            sched_yield();
        assert_true(workers[i].n_steps != before[i]);
    }
}

/* ---- threads that libc does not know -------------------------------------------------------- */

struct clone_thread {
    char *stack;
    pid_t tid; /* the kernel clears it and wakes it when the thread is gone */
};
enum { CLONE_STACK_BYTES = 65536 };
static struct clone_thread clones[N_THREADS_MAX];
static unsigned n_clones;

/* No libc, no TLS: the base register may be anything. */
static inline int clone_spin(void *arg)
{
    struct worker *w = arg;

    while (!world_is_over)
        w->n_steps++;
    return 0;
}

static inline void start_clone(int tls_flag, void *tls)
{
    struct clone_thread *c = &clones[n_clones++];
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | tls_flag;

    c->stack = mmap(NULL, CLONE_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(c->stack != MAP_FAILED);
    assert_true(clone(clone_spin, c->stack + CLONE_STACK_BYTES, flags, &workers[n_workers++], &c->tid, tls,
                      &c->tid) > 0);
}

static inline void end_clones(void)
{
    world_is_over = true;
    while (n_clones > 0) {
        struct clone_thread *c = &clones[--n_clones];
        pid_t tid;

        while ((tid = __atomic_load_n(&c->tid, __ATOMIC_ACQUIRE)) != 0)
            syscall(SYS_futex, &c->tid, 0 /* FUTEX_WAIT, not private: so the kernel wakes */, tid, NULL, NULL,
                    0);
        munmap(c->stack, CLONE_STACK_BYTES);
    }
}

#endif
