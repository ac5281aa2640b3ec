/* Blocks for the collector's unit tests: straight from the heap, reachable only from where the test puts
 * their addresses.
 *
 * The tests keep addresses hidden (complemented) where a real cycle scans the process's own memory. */
#ifndef TESTS_UNIT_GC_BLOCKS_H
#define TESTS_UNIT_GC_BLOCKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "gc/finalizer.h"
#include "gc/mark.h"
#include "gc/sweep.h"
#include "gc/trace.h"
#include "gc/weak.h"
#include "heap/heap.h"
#include "os/critical_inl.h"

static inline enum cycle_skip gc_cycle(enum cycle_cause cause)
{
    struct trace_cycle told;
    enum cycle_skip skip = cycle_run(cause, &told);
    cycle_tell(&told);
    return skip;
}

static inline void *gc_block_small(unsigned flavor, size_t size_bytes)
{
    unsigned class_no = sizeclass_of(size_bytes);
    struct tcache *tc = tcache_get();
    assert_non_null(tc);
    void *p = tcache_pop(tc, flavor, class_no);
    if (p == NULL) {
        assert_true(tcache_refill(tc, flavor, class_no) || tcache_refill_new(tc, flavor, class_no));
        p = tcache_pop(tc, flavor, class_no);
    }
    return p;
}

/* Zeroed over its usable size, but for untouched pages of large blocks, which read as zero anyway. */
static inline void *gc_block(unsigned flavor, size_t size_bytes)
{
    bool is_zero = false;
    os_critical_enter();
    void *p = size_bytes <= SIZECLASS_MAX_SMALL ? gc_block_small(flavor, size_bytes)
                                                : heap_large_alloc(size_bytes, 16, flavor, &is_zero);
    assert_non_null(p);
    if (size_bytes <= SIZECLASS_MAX_SMALL)
        memset(p, 0, sizeclass_size(sizeclass_of(size_bytes)));
    else if (!is_zero)
        memset(p, 0, bits_round_up(size_bytes, 4096));
    os_critical_leave();
    return p;
}

static inline void gc_block_free(void *p)
{
    os_critical_enter();
    assert_int_equal(heap_free(p), HEAP_FREED);
    os_critical_leave();
}

static inline void gc_block_heap_setup(void)
{
    const struct heap_config config = {0};
    os_process_init();
    os_critical_enter();
    assert_true(heap_init(&config));
    os_critical_leave();
}

/* What cycle.c does before marking, in a process with one thread. */
static inline void gc_block_mark_begin(void)
{
    os_critical_enter();
    assert_true(mark_prepare());
    assert_int_equal(os_fault_guard_begin(), 0);
    heap_settle();
    mark_begin();
}

static inline void gc_block_mark_end(void)
{
    mark_clear_all();
    os_fault_guard_end();
    mark_finish();
    os_critical_leave();
}

/* A whole cycle in the order of cycle.c, whose only root is the given range. */
static inline struct finalizer_split_result gc_block_cycle(void *roots, size_t size_bytes,
                                                           struct sweep_totals *totals)
{
    gc_block_mark_begin();
    mark_words((uintptr_t)roots, (uintptr_t)roots + size_bytes);
    finalizer_mark_roots();
    weak_mark_roots();
    assert_true(mark_drain());
    assert_true(finalizer_mark_args());
    weak_clear();
    finalizer_mark_reachable();
    assert_true(mark_drain());
    struct finalizer_split_result result = finalizer_split();
    assert_true(mark_drain());
    finalizer_end(&result);
    *totals = sweep_publish();
    heap_check();
    os_fault_guard_end();
    mark_finish();
    os_critical_leave();
    return result;
}

static inline bool gc_block_is_live(const void *p)
{
    struct heap_obj obj;
    return heap_find_object((uintptr_t)p, &obj) == HEAP_LIVE;
}

#define GC_IS_MARKED(p) mark_is_marked((uintptr_t)(p))
#define GC_MARK_WORDS(array) mark_words((uintptr_t)(array), (uintptr_t)((array) + N_ELEMENTS(array)))

#endif
