/* The queue of what is due, and who runs it.
 *
 * Invariants  what is queued or being run is a root until its function has returned. The queue is a list
 *         through queue_next from `head`; `tail` and `n_queued` can be found again from it (fork).
 * Locks   FIN for the lists; no lock and no critical section while a function of the program runs.
 */
#include "base/check.h"
#include "base/counters.h"
#include "gc/event.h"
#include "gc/finalizer.h"
#include "gc/finalizer_table.h"
#include "gc/mark.h"
#include "heap/meta.h"
#include "os/critical_inl.h"

enum {
    FINALIZER_END_N_LOOKS = 5000,
    FINALIZER_END_LOOK_NS = 200 * 1000,
};

static struct {
    uint32_t head, tail; /* records; FIN, or stopped */
    size_t n_queued;
    uint32_t running; /* records being run: not in the table; FIN */
} queue;

static struct {
    int (*start)(void *(*fn)(void *), void *arg);
    bool is_allowed;
    uint32_t is_started; /* atomic */
    uint32_t n_wakes;    /* futex */
    uint32_t n_endings;  /* atomic: the thread that finds another number than it was started under ends */
    pid_t tid;           /* atomic; 0: it has not begun yet */
} thread = {.is_allowed = true};

static __thread bool finalizer_is_thread __attribute__((tls_model("initial-exec")));

/* ---- the queue ---- */

void finalizer_queue_put(struct finalizer_record *r)
{
    r->queue_next = 0;
    if (queue.head == 0)
        queue.head = meta_ref(r);
    else
        finalizer_record_of_ref(queue.tail)->queue_next = meta_ref(r);
    queue.tail = meta_ref(r);
    queue.n_queued++;
}

static struct finalizer_record *finalizer_queue_take_locked(void)
{
    struct finalizer_record *r = finalizer_record_of_ref(queue.head);
    if (r == NULL)
        return NULL;
    STORE_ONCE(queue.head, r->queue_next);
    if (queue.head == 0)
        queue.tail = 0;
    queue.n_queued--;
    return r;
}

static void finalizer_queue_put_back_locked(struct finalizer_record *r)
{
    r->queue_next = queue.head;
    STORE_ONCE(queue.head, meta_ref(r));
    if (queue.tail == 0)
        queue.tail = queue.head;
    queue.n_queued++;
}

static void finalizer_queue_mark_list(uint32_t ref)
{
    for (const struct finalizer_record *r = finalizer_record_of_ref(ref); r != NULL;
         r = finalizer_record_of_ref(r->queue_next)) {
        mark_addr_block(r->obj);
        mark_words((uintptr_t)&r->arg, (uintptr_t)(&r->arg + 1));
    }
}

void finalizer_queue_mark(void)
{
    finalizer_queue_mark_list(queue.head);
    finalizer_queue_mark_list(queue.running);
}

size_t finalizer_queued(void)
{
    return LOAD_ONCE(queue.n_queued);
}

/* Blocks that vanished threads were finalizing stay held: nobody can say how far that went. */
void finalizer_queue_fork_child(void)
{
    queue.tail = 0;
    queue.n_queued = 0;
    for (uint32_t ref = queue.head; ref != 0; ref = finalizer_record_of_ref(ref)->queue_next) {
        queue.tail = ref;
        queue.n_queued++;
    }
    thread.is_started = finalizer_is_thread; /* a finalizer may fork */
    thread.tid = finalizer_is_thread ? os_gettid() : 0;
}

/* ---- running ---- */

/* A record of its own for the time of the call, so that the function may set a finalizer for its block
 * again. */
static struct finalizer_record *finalizer_detach_locked(struct finalizer_record *r)
{
    if (r->state == FINALIZER_CLEANUP)
        return r;
    struct finalizer_record *run = finalizer_record_new();
    if (run == NULL)
        return NULL;
    run->obj = r->obj;
    run->fn = r->fn;
    run->arg = r->arg;
    r->state = FINALIZER_NONE;
    finalizer_table_drop_if_empty(r);
    return run;
}

/* Next to run, on the list of what runs; NULL: nothing there, or no memory. */
static struct finalizer_record *finalizer_begin_locked(void)
{
    struct finalizer_record *r = finalizer_queue_take_locked();
    while (r != NULL && r->fn == NULL) { /* the program freed its block */
        finalizer_record_free(r);
        r = finalizer_queue_take_locked();
    }
    if (r == NULL)
        return NULL;
    struct finalizer_record *run = finalizer_detach_locked(r);
    if (run == NULL) {
        finalizer_queue_put_back_locked(r);
        return NULL;
    }
    run->queue_next = queue.running;
    STORE_ONCE(queue.running, meta_ref(run));
    return run;
}

static void finalizer_end_locked(struct finalizer_record *run)
{
    uint32_t *at = &queue.running;
    while (*at != meta_ref(run))
        at = &finalizer_record_of_ref(*at)->queue_next;
    STORE_ONCE(*at, run->queue_next);
    finalizer_record_free(run);
}

static void finalizer_call(void *arg)
{
    const struct finalizer_record *run = arg;
    if (run->state == FINALIZER_CLEANUP)
        ((cleanup_fn)(void (*)(void))run->fn)(run->arg);
    else
        run->fn((void *)run->obj, run->arg);
}

/* Nobody could catch it (the thread is ours), or the block would be held for ever (the thread is the program's). */
static void finalizer_threw(void *arg)
{
    check_misuse(MISUSE_FINALIZER_THREW, (uintptr_t)((const struct finalizer_record *)arg)->fn);
}

static NOINLINE bool finalizer_run_one(void)
{
    os_critical_enter();
    os_lock(&finalizer_lock);
    struct finalizer_record *run = finalizer_begin_locked();
    os_unlock(&finalizer_lock);
    os_critical_leave();
    if (run == NULL)
        return false;
    os_call_nothrow(finalizer_call, run, finalizer_threw);
    counter_add(COUNTER_FINALIZERS_RUN, 1);
    os_critical_enter();
    os_lock(&finalizer_lock);
    finalizer_end_locked(run);
    os_unlock(&finalizer_lock);
    os_critical_leave();
    return true;
}

size_t finalizer_run_queued(void)
{
    size_t n = 0;
    while (finalizer_run_one())
        n++;
    return n;
}

/* ---- the thread ---- */

/* Asleep it counts as stopped: a cycle need not signal it. */
static void finalizer_thread_sleep(uint32_t n_wakes_seen)
{
    struct os_gate_frame frame;
    os_gate_publish(&frame);
    os_futex_wait(&thread.n_wakes, n_wakes_seen, UINT64_MAX);
    os_gate_leave(&frame);
}

static bool finalizer_thread_may_stay(uint32_t n_endings)
{
    return __atomic_load_n(&thread.n_endings, __ATOMIC_ACQUIRE) == n_endings;
}

/* Until the program wants them for itself, or the thread has to end. */
static size_t finalizer_run_some(uint32_t n_endings)
{
    size_t n = 0;
    while (LOAD_ONCE(thread.is_allowed) && finalizer_thread_may_stay(n_endings) && finalizer_run_one())
        n++;
    return n;
}

static void *finalizer_thread_main(void *arg)
{
    uint32_t n_endings = (uint32_t)(uintptr_t)arg;
    finalizer_is_thread = true;
    __atomic_store_n(&thread.tid, os_gettid(), __ATOMIC_RELEASE);
    for (;;) {
        uint32_t n_wakes = __atomic_load_n(&thread.n_wakes, __ATOMIC_ACQUIRE);
        if (!finalizer_thread_may_stay(n_endings))
            break;
        if (!LOAD_ONCE(thread.is_allowed) || event_run_pending() + finalizer_run_some(n_endings) == 0)
            finalizer_thread_sleep(n_wakes);
    }
    __atomic_store_n(&thread.is_started, 0, __ATOMIC_RELEASE); /* the next that is wanted may start */
    return NULL;
}

static void finalizer_thread_rouse(void)
{
    __atomic_add_fetch(&thread.n_wakes, 1, __ATOMIC_RELEASE);
    os_futex_wake(&thread.n_wakes, 1);
}

/* One that was started and has not begun yet is waited for like any other. */
static bool finalizer_thread_is_gone(void)
{
    pid_t tid = __atomic_load_n(&thread.tid, __ATOMIC_ACQUIRE);
    struct os_task_state state;
    if (tid == 0 || os_task_state(tid, &state) != 0 || state.state != 0)
        return false;
    return __atomic_load_n(&thread.is_started, __ATOMIC_ACQUIRE) == 0;
}

void finalizer_thread_end(void)
{
    static uint32_t never;
    if (finalizer_is_thread || __atomic_load_n(&thread.is_started, __ATOMIC_ACQUIRE) == 0)
        return;
    __atomic_add_fetch(&thread.n_endings, 1, __ATOMIC_ACQ_REL);
    finalizer_thread_rouse();
    for (int i = 0; i < FINALIZER_END_N_LOOKS && !finalizer_thread_is_gone(); i++)
        os_futex_wait(&never, 0, FINALIZER_END_LOOK_NS);
}

void finalizer_thread_enable(bool allowed)
{
    STORE_ONCE(thread.is_allowed, allowed);
    finalizer_wake();
}

void finalizer_set_thread_starter(int (*start)(void *(*fn)(void *), void *arg))
{
    thread.start = start;
}

void finalizer_thread_poke(void)
{
    uint32_t expected = 0;
    if (LIKELY(finalizer_table_count() == 0 && finalizer_queued() == 0 && !event_is_wanted()))
        return;
    if (!thread.is_allowed || thread.start == NULL || os_tls.critical != 0)
        return;
    if (!__atomic_compare_exchange_n(&thread.is_started, &expected, 1, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_RELAXED))
        return;
    __atomic_store_n(&thread.tid, 0, __ATOMIC_RELEASE);
    if (thread.start(finalizer_thread_main, (void *)(uintptr_t)__atomic_load_n(&thread.n_endings, __ATOMIC_ACQUIRE)) != 0)
        __atomic_store_n(&thread.is_started, 0, __ATOMIC_RELEASE);
}

void finalizer_wake(void)
{
    if (finalizer_queued() != 0 || event_is_pending())
        finalizer_thread_rouse();
}
