/* Statistics: named 64-bit counters of the whole process.
 *
 * What        one table; enumerators, names and help texts come from it.
 * Owns        the array of values.
 * Invariants  a counter only grows (counters_reset aside); COUNTER_PAUSE_NS_MAX
 *             holds a maximum. The reasons for skipped cycles stand together, from
 *             COUNTER_SKIP_FIRST to COUNTER_SKIP_LAST, and each skipped cycle adds
 *             one to COUNTER_CYCLES_SKIPPED and to one reason (counter_add_skip).
 * Locks       none: relaxed atomics. Read together they are no snapshot.
 * Not here    anything per malloc or free: only slow paths can afford to count.
 */
#ifndef BASE_COUNTERS_H
#define BASE_COUNTERS_H

#include <stdint.h>

/* X(ENUMERATOR, "name", "help") */
#define COUNTER_TABLE(X)                                                                                     \
    X(CYCLES, "cycles", "collections that ran to their end")                                                 \
    X(CYCLES_BY_GROWTH, "cycles_by_growth", "of these, because the heap had grown")                          \
    X(CYCLES_BY_LIMIT, "cycles_by_limit", "of these, because a memory limit was near")                       \
    X(CYCLES_EXPLICIT, "cycles_explicit", "of these, because the program asked")                             \
    X(CYCLES_STRESS, "cycles_stress", "of these, because of option stress")                                  \
    X(CYCLES_CONCURRENT, "cycles_concurrent", "of these, marked by a clone of the process")                  \
    X(CLONES, "clones", "clones of the process that were made to mark")                                      \
    X(CYCLES_SKIPPED, "cycles_skipped", "collections given up: nothing was reclaimed")                       \
    X(SKIP_INHIBITED, "skip_inhibited", "skipped: the program inhibits collection")                          \
    X(SKIP_FORK, "skip_fork", "skipped: a fork is in progress")                                              \
    X(SKIP_VFORK_CHILD, "skip_vfork_child", "skipped: another process shares the memory")                    \
    X(SKIP_SECCOMP, "skip_seccomp", "skipped: system calls are filtered")                                    \
    X(SKIP_NO_PROC, "skip_no_proc", "skipped: /proc does not show this process")                             \
    X(SKIP_NO_PAGEMAP, "skip_no_pagemap", "skipped: which pages have content cannot be read")                \
    X(SKIP_THREAD_NOT_STOPPED, "skip_thread_not_stopped", "skipped: a thread did not stop in time")          \
    X(SKIP_THREAD_UNINTERRUPTIBLE, "skip_thread_uninterruptible", "skipped: a thread waits in the kernel")   \
    X(SKIP_STACK_MISSING, "skip_stack_missing", "skipped: a stack is not in the list of mappings")           \
    X(SKIP_FAULT, "skip_fault", "skipped: a page with content could not be read")                            \
    X(SKIP_IO_URING, "skip_io_uring", "skipped: the process uses io_uring")                                  \
    X(SKIP_FUSE, "skip_fuse", "skipped: the process serves a file system")                                   \
    X(SKIP_NO_MEMORY, "skip_no_memory", "skipped: no memory for the collector's own tables")                 \
    X(SKIP_TOO_MANY_ROOTS, "skip_too_many_roots", "skipped: more roots than a cycle may read")               \
    X(SKIP_NESTED, "skip_nested", "skipped: another collection was running")                                 \
    X(BLOCKS_RECLAIMED, "blocks_reclaimed", "blocks that were found unreachable and taken")                  \
    X(BYTES_RECLAIMED, "bytes_reclaimed", "bytes of these blocks")                                           \
    X(SPANS_RECLAIMED, "spans_reclaimed", "spans in which no block was left alive")                          \
    X(TAKEN_FREED, "taken_freed", "frees of a block that the collector had taken")                           \
    X(TAKEN_REALLOC, "taken_realloc", "reallocs of a block that the collector had taken")                    \
    X(TAKEN_USABLE, "taken_usable", "malloc_usable_size of a block that the collector had taken")            \
    X(BLOCKS_SUSPECTED, "blocks_suspected", "blocks found unreachable for the first time, and kept")          \
    X(SUSPECTS_USED, "suspects_used", "such blocks that the program then freed, resized or asked about")     \
    X(HELD_BLOCKS, "held_blocks", "quarantine: freed blocks that the last collection found pointers to")      \
    X(HELD_BYTES, "held_bytes", "bytes of these blocks")                                                     \
    X(HELD_RELEASED, "held_released", "quarantine: freed blocks that no pointer led to any more")             \
    X(HELD_RELEASED_BYTES, "held_released_bytes", "bytes of these blocks")                                   \
    X(HELD_FORCED, "held_forced", "quarantine: freed blocks that were given up, pointed to or not")           \
    X(FOREIGN_FREE_DROPPED, "foreign_free_dropped", "frees of blocks of another allocator, ignored")         \
    X(FOREIGN_FREE_FORWARDED, "foreign_free_forwarded", "frees of blocks of libc, handed to libc")           \
    X(FINALIZERS_SET, "finalizers_set", "finalizers set")                                                    \
    X(FINALIZERS_QUEUED, "finalizers_queued", "finalizers whose block was found unreachable")                \
    X(FINALIZERS_RUN, "finalizers_run", "finalizers that returned")                                          \
    X(FINALIZER_CYCLES, "finalizer_cycles", "blocks never finalized, because they reach themselves")         \
    X(WEAK_CLEARED, "weak_cleared", "weak references cleared")                                               \
    X(ROOTS_SCANNED_BYTES, "roots_scanned_bytes", "bytes of roots read")                                     \
    X(BLOCKS_MARKED, "blocks_marked", "blocks found reachable")                                              \
    X(BYTES_MARKED, "bytes_marked", "bytes of these blocks")                                                 \
    X(FAULTS, "faults", "reads of the collector that faulted")                                               \
    X(STOP_NS_TOTAL, "stop_ns_total", "ns spent stopping the threads")                                       \
    X(PAUSE_NS_TOTAL, "pause_ns_total", "ns in which the program stood still")                               \
    X(PAUSE_NS_MAX, "pause_ns_max", "ns of the longest of these pauses")                                     \
    X(MARK_NS_TOTAL, "mark_ns_total", "ns spent marking")                                                    \
    X(MARK_STACK_MAX, "mark_stack_max", "most bytes that the mark stacks of one collection held")             \
    X(CYCLE_CPU_NS_TOTAL, "cycle_cpu_ns_total", "ns of CPU time used by collections")                        \
    X(SPANS_CREATED, "spans_created", "spans cut from the arena")                                            \
    X(SPANS_RELEASED, "spans_released", "spans given back to the arena")                                     \
    X(BYTES_PURGED, "bytes_purged", "bytes given back to the kernel")                                        \
    X(REMOTE_FREES, "remote_frees", "frees by a thread that does not own the span")                          \
    X(SPANS_ADOPTED, "spans_adopted", "spans of ended threads taken over by others")                         \
    X(THREADS_REGISTERED, "threads_registered", "threads that got a record")                                 \
    X(GATE_PUBLISHES, "gate_publishes", "blocking calls entered in the published state")

enum counter {
#define COUNTER_ENUMERATOR(ENUMERATOR, name, help) COUNTER_##ENUMERATOR,
    COUNTER_TABLE(COUNTER_ENUMERATOR)
#undef COUNTER_ENUMERATOR
        COUNTER_COUNT,
    COUNTER_SKIP_FIRST = COUNTER_SKIP_INHIBITED,
    COUNTER_SKIP_LAST = COUNTER_SKIP_NESTED,
};

extern uint64_t counter_values[COUNTER_COUNT]; /* atomic, relaxed; zero at start */

static inline void counter_add(enum counter c, uint64_t n)
{
    __atomic_fetch_add(&counter_values[c], n, __ATOMIC_RELAXED);
}

static inline uint64_t counter_get(enum counter c)
{
    return __atomic_load_n(&counter_values[c], __ATOMIC_RELAXED);
}

static inline void counter_set(enum counter c, uint64_t value)
{
    __atomic_store_n(&counter_values[c], value, __ATOMIC_RELAXED);
}

/* Raise a counter that holds a maximum. */
void counter_raise(enum counter c, uint64_t value);
/* One skipped cycle and its reason. pre: COUNTER_SKIP_FIRST <= reason <= COUNTER_SKIP_LAST */
void counter_add_skip(enum counter reason);
const char *counter_name(enum counter c);
const char *counter_help(enum counter c);
void counters_reset(void); /* all to zero: tests */

#endif
