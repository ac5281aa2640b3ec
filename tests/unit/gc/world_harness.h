/* Threads to stop, and a stop as a cycle does it; for the tests of world and roots. */
#ifndef TESTS_UNIT_GC_WORLD_HARNESS_H
#define TESTS_UNIT_GC_WORLD_HARNESS_H

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "gc/world.h"
#include "heap/heap.h"
#include "heap/meta.h"
#include "os/critical_inl.h"
#include "os/os.h"

static inline void harness_init(void)
{
    static const struct heap_config config = {.reserve_bytes = 0, .hugepages = ARENA_HUGE_NEVER};

    os_process_init();
    os_critical_enter();
    assert_true(heap_init(&config));
    os_critical_leave();
}

static inline void harness_sleep_us(unsigned us)
{
    struct timespec left = {us / 1000000, us % 1000000 * 1000L};

    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

/* In a critical section from here to harness_start. */
static inline enum cycle_skip harness_stop(void)
{
    enum cycle_skip skip;

    os_critical_enter();
    while ((skip = world_prepare()) == SKIP_NOT_STOPPED)
        continue; /* a thread answers an abandoned stop just now */
    return skip != SKIP_NONE ? skip : world_stop();
}

/* On a loaded machine a thread may wait for its turn longer than a stop waits for it. */
static inline enum cycle_skip harness_stop_at_last(void)
{
    enum cycle_skip skip;

    for (int i = 0; (skip = harness_stop()) == SKIP_NOT_STOPPED && i < 20; i++)
        os_critical_leave();
    return skip;
}

static inline void harness_start(void)
{
    world_start();
    os_critical_leave();
}

static inline const struct os_stop_slot *harness_slot_of(pid_t tid)
{
    for (size_t i = 0; i < world_n_slots(); i++)
        if (world_slot(i)->tid == tid)
            return world_slot(i);
    return NULL;
}

static inline long harness_n_threads(void)
{
    static pid_t tids[4096];

    return os_task_list(tids, N_ELEMENTS(tids));
}

/* ---- a thread that does `step` until it is told to end ------------------------------------------------------- */

struct harness_thread {
    pthread_t thread;
    void (*begin)(struct harness_thread *t); /* once, in the thread */
    void (*step)(struct harness_thread *t);
    void (*end)(struct harness_thread *t);
    volatile uint64_t n_steps;
    volatile pid_t tid; /* once it has begun */
    volatile uint32_t is_over;
    void *arg;
};

static inline void *harness_thread_run(void *arg)
{
    struct harness_thread *t = arg;

    if (t->begin != NULL)
        t->begin(t);
    __atomic_store_n(&t->tid, os_gettid(), __ATOMIC_RELEASE);
    while (!t->is_over) {
        t->step(t);
        t->n_steps++;
    }
    if (t->end != NULL)
        t->end(t);
    return NULL;
}

static inline void harness_spawn(struct harness_thread *t, const pthread_attr_t *attr)
{
    t->is_over = false;
    t->tid = 0;
    assert_int_equal(pthread_create(&t->thread, attr, harness_thread_run, t), 0);
    while (__atomic_load_n(&t->tid, __ATOMIC_ACQUIRE) == 0)
        sched_yield();
}

static inline void harness_join(struct harness_thread *t)
{
    t->is_over = true;
    pthread_join(t->thread, NULL);
    while (syscall(SYS_tgkill, getpid(), t->tid, 0) == 0) /* joined, and still among the tasks */
        sched_yield();
}

static inline void harness_assert_runs_on(struct harness_thread *t)
{
    uint64_t before = t->n_steps;

    for (int i = 0; i < 1000 && t->n_steps == before; i++)
        harness_sleep_us(10000);
    assert_true(t->n_steps > before);
}

/* Steps and begins that tests share. */
static inline void harness_step_nothing(struct harness_thread *t)
{
    (void)t;
}

static inline void harness_step_sleep(struct harness_thread *t)
{
    (void)t;
    harness_sleep_us(2000);
}

static inline void harness_begin_registered(struct harness_thread *t)
{
    (void)t;
    assert_non_null(os_thread_register());
    os_thread_record_stack(os_tls.thread);
}

static inline void harness_end_registered(struct harness_thread *t)
{
    (void)t;
    os_thread_unregister();
}

#endif
