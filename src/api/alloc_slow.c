/* The one slow path that decides: first use, fork repair, collect, refill, grow, or no memory.
 *
 * What    alloc_slow (malloc) and alloc_block (everything else that allocates).
 * Locks   callers are outside critical sections, unless a signal handler interrupted one: then emergency.c
 *         serves.
 * Not here  how any of it is done: heap and gc; what the fast paths do: malloc_fast.c.
 */
#include "api/alloc.h"

#include <errno.h>
#include <stdint.h>
#include "api/watch.h"
#include "gc/mark.h"
#include "gc/pacer.h"
#include "gc/trace.h"
#include "gc/withhold.h"
#include "heap/arena.h"
#include "heap/probation.h"
#include "heap/sample.h"
#include "os/critical_inl.h"
#include "os/os.h"

__thread struct api_tls api_tls __attribute__((visibility("hidden"), tls_model("initial-exec")));
struct api_state api_state;

struct alloc_request {
    size_t size_bytes, align;
    unsigned flavor;
    unsigned class_no; /* SIZECLASS_LARGE: does not come from a span of small blocks */
    bool is_zero;      /* result: known to read as zero */
};

bool api_heap_init(const struct heap_config *config)
{
    bool is_ready;

    os_process_init();
    os_critical_enter();
    is_ready = heap_init(config);
    os_critical_leave();
    return is_ready;
}

COLD static bool alloc_first_use(void)
{
    static const struct heap_config defaults = {.reserve_bytes = 0, .hugepages = ARENA_HUGE_NEVER};

    return api_heap_init(&defaults);
}

/* A wiped page tells a child of a fork that went past the handlers (raw clone, _Fork). */
static bool alloc_is_raw_fork_child(void)
{
    return api_state.is_initialised && os_is_raw_fork_child();
}

bool api_enter_slow(void)
{
    if (UNLIKELY(!heap_is_ready()) && !alloc_first_use())
        return false;
    if (UNLIKELY(alloc_is_raw_fork_child()))
        api_fork_repair();
    if (UNLIKELY(os_tls.thread == NULL))
        api_thread_adopt();
    return true;
}

/* Who asks for a collection, or has no memory, wants the second look at once. */
static bool api_is_thorough(enum cycle_cause cause)
{
    return cause == CYCLE_EXPLICIT || cause == CYCLE_INQUIRY || cause == CYCLE_LIMIT || cause == CYCLE_NO_MEMORY;
}

/* Signals wait for the cycle, but not for whoever reads the trace. */
static enum cycle_skip api_collect_once(enum cycle_cause cause)
{
    struct trace_cycle told;

    api_tls.in_cycle++;
    SIGNAL_FENCE();
    enum cycle_skip skip = cycle_run(cause, &told);
    SIGNAL_FENCE();
    api_tls.in_cycle--;
    api_exit_slow();
    cycle_tell(&told);
    return skip;
}

enum cycle_skip api_collect(enum cycle_cause cause)
{
    int saved_errno = errno;
    enum cycle_skip skip = api_collect_once(cause);

    if (skip == SKIP_NONE && probation_is_on() && api_is_thorough(cause))
        skip = api_collect_once(cause);
    errno = saved_errno;
    return skip;
}

enum cycle_skip api_collect_after_others(enum cycle_cause cause)
{
    enum cycle_skip skip = api_collect(cause);

    if (skip != SKIP_BUSY)
        return skip;
    cycle_wait();
    return api_collect(cause);
}

static unsigned alloc_class(size_t size_bytes, size_t align)
{
    unsigned class_no;

    if (size_bytes > SIZECLASS_MAX_SMALL && (size_bytes > SIZECLASS_MAX_PACKED || !arena_is_short()))
        return SIZECLASS_LARGE;
    if (align <= SIZECLASS_ALIGN)
        return sizeclass_of(size_bytes);
    class_no = sizeclass_of_aligned(size_bytes, align);
    return class_no < SIZECLASS_N ? class_no : SIZECLASS_LARGE;
}

static void *alloc_large(struct alloc_request *r)
{
    return heap_large_alloc(r->size_bytes != 0 ? r->size_bytes : 1, r->align, r->flavor, &r->is_zero);
}

/* What the cache holds already: in its window, or further on in the same span. In a heap whose blocks are freed here and
 * there, windows are small, and most of what is asked here ends with the next word. */
static void *alloc_cached(struct alloc_request *r)
{
    struct tcache *tc = tcache_self;
    void *p;

    if (r->class_no == SIZECLASS_LARGE || tc == &tcache_none)
        return NULL;
    p = tcache_pop(tc, r->flavor, r->class_no);
    if (p == NULL && !pacer_is_stressed() && tcache_step(tc, r->flavor, r->class_no))
        p = tcache_pop(tc, r->flavor, r->class_no);
    return p;
}

/* A thread without a cache is in its last throes, a child of vfork borrows it, or there is no memory for one: such a block gets
 * a span of its own. */
static void *alloc_refilled(struct alloc_request *r)
{
    struct tcache *tc;

    if (r->class_no == SIZECLASS_LARGE)
        return alloc_large(r);
    tc = api_tls.is_retired ? NULL : tcache_get();
    if (tc == NULL)
        return alloc_large(r);
    if (tcache_refill(tc, r->flavor, r->class_no) || tcache_refill_new(tc, r->flavor, r->class_no))
        return tcache_pop(tc, r->flavor, r->class_no);
    return NULL;
}

/* Bytes that the pacer should count for this request: a refill takes a window of up to 64 slots, most of it
 * later. */
static bool alloc_is_cycle_due(const struct alloc_request *r, enum cycle_cause *cause)
{
    return api_state.is_initialised && pacer_is_due(r->size_bytes, cause);
}

/* Another thread's cycle, which this one had to wait for at the end of its critical section, will do. One that is yet
 * to stop us is waited for once the heap is well beyond its goal: with more threads than cores they all could
 * allocate for long until the collecting one gets its turns. */
static void alloc_collect(enum cycle_cause cause, uint64_t n_cycles)
{
    if (cycle_count() != n_cycles || api_collect(cause) != SKIP_BUSY)
        return;
    if (cause == CYCLE_LIMIT || pacer_is_overdue())
        cycle_wait();
}

static void *alloc_serve(struct alloc_request *r)
{
    enum cycle_cause cause;
    uint64_t n_cycles;
    void *p;

    os_critical_enter();
    p = alloc_cached(r);
    n_cycles = cycle_count();
    if (p == NULL && UNLIKELY(alloc_is_cycle_due(r, &cause))) {
        os_critical_leave();
        alloc_collect(cause, n_cycles);
        os_critical_enter();
    }
    if (p == NULL)
        p = alloc_refilled(r);
    os_critical_leave();
    return p;
}

static void *alloc_refilled_once(struct alloc_request *r)
{
    void *p;

    os_critical_enter();
    p = alloc_refilled(r);
    os_critical_leave();
    return p;
}

/* No memory: collect, or wait for whoever does, and try once more; then at the cost of what is held back. */
COLD static void *alloc_serve_again(struct alloc_request *r)
{
    enum cycle_skip skip = api_collect(CYCLE_NO_MEMORY);
    void *p;

    if (skip == SKIP_BUSY)
        cycle_wait();
    p = skip == SKIP_NONE || skip == SKIP_BUSY ? alloc_refilled_once(r) : NULL;
    if (p == NULL && withhold_give_up())
        p = alloc_refilled_once(r);
    return p;
}

/* As malloc's fast path leaves a block: an old pointer in what the program did not ask for would keep garbage. */
static void alloc_clear_end(void *p, unsigned class_no)
{
    uint64_t *end = (uint64_t *)((char *)p + sizeclass_size(class_no));

    end[-1] = 0;
    end[-2] = 0;
}

COLD static void *alloc_no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

COLD static void *alloc_watched(void *p, struct alloc_request *r, size_t size_bytes)
{
    struct watch_request w = {
        .size_bytes = size_bytes,
        .align = r->align,
        .flavor = r->flavor,
        .is_large = r->class_no == SIZECLASS_LARGE,
    };

    return watch_allocated(p, &w, &r->is_zero);
}

static bool alloc_may_be_sample(const struct alloc_request *r)
{
    return r->class_no == SIZECLASS_LARGE || tcache_self->sample_due != 0 || tcache_self == &tcache_none;
}

/* With sampling on, most of those that come here only pass by the sample that waits in their window. malloc's own path has
 * tried that before. */
static void *alloc_undue(const struct alloc_request *r)
{
    const struct tcache *tc;
    void *p = NULL;

    if (r->class_no == SIZECLASS_LARGE)
        return NULL;
    os_critical_enter();
    tc = tcache_self; /* the bins of the empty cache are not veiled */
    if (tc->sets[r->flavor] != NULL && r->class_no < tcache_n_bins(tc->sets[r->flavor]))
        p = sample_pop_undue(tcache_self, tcache_bin_of(tc->sets[r->flavor], r->class_no));
    os_critical_leave();
    return p;
}

void *alloc_block(size_t size_bytes, size_t align, unsigned flavor, bool *is_zero)
{
    struct alloc_request r = {
        .size_bytes = alloc_padded(size_bytes, align, flavor), .align = align, .flavor = flavor};
    void *p;

    if (UNLIKELY(size_bytes > PTRDIFF_MAX || align > PTRDIFF_MAX))
        return alloc_no_memory();
    if (UNLIKELY(os_tls.critical != 0 || api_tls.in_cycle != 0))
        return emergency_alloc(size_bytes, align);
    if (flavor == FLAVOR_MALLOC && r.size_bytes == size_bytes)
        mark_note_full_block(size_bytes);
    r.class_no = alloc_class(r.size_bytes, align);
    if (UNLIKELY(sample_rate() != 0) && is_zero != NULL && (p = alloc_undue(&r)) != NULL) {
        *is_zero = false;
        api_exit_slow();
        return p;
    }
    if (UNLIKELY(!api_enter_slow()) || UNLIKELY(r.size_bytes > arena_max_bytes())) { /* no collection makes such room */
        api_exit_slow();
        return alloc_no_memory();
    }
    p = alloc_serve(&r);
    if (UNLIKELY(p == NULL))
        p = alloc_serve_again(&r);
    if (flavor == FLAVOR_MALLOC && r.class_no != SIZECLASS_LARGE && LIKELY(p != NULL))
        alloc_clear_end(p, r.class_no);
    if (UNLIKELY(sample_rate() != 0) && p != NULL && alloc_may_be_sample(&r))
        p = alloc_watched(p, &r, size_bytes);
    api_exit_slow();
    if (is_zero != NULL)
        *is_zero = r.is_zero;
    return LIKELY(p != NULL) ? p : alloc_no_memory();
}

NOINLINE void *alloc_slow(size_t size_bytes)
{
    if (UNLIKELY(api_state.is_passthrough))
        return passthrough_malloc(size_bytes);
    return alloc_block(size_bytes, SIZECLASS_ALIGN, FLAVOR_MALLOC, NULL);
}
