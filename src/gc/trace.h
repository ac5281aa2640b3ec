/* One line a cycle, for people; the format is in the head of trace.c. */
#ifndef GC_TRACE_H
#define GC_TRACE_H

#include <stddef.h>
#include <stdint.h>
#include "gc/cycle.h"
#include "gc/sweep.h"

enum trace_phase {
    PHASE_STOP,
    PHASE_ROOTS,
    PHASE_MARK,
    PHASE_FINALIZE,
    PHASE_PUBLISH,
    PHASE_RESUME,
    PHASE_N
};

struct trace_cycle {
    uint64_t cycle_no;
    uint64_t start_ns; /* monotonic */
    uint64_t phase_ns[PHASE_N];
    uint64_t cpu_ns;
    uint64_t end_ns, beside_ns; /* of a first stop; between it and the second, while a clone marked */
    enum cycle_cause cause;
    enum cycle_skip skip;
    size_t goal_bytes;
    struct sweep_totals totals;
    uint64_t roots_bytes;
    size_t n_threads;
    size_t n_cyclic; /* blocks that are never finalized */
};

void trace_init(unsigned level, const struct os_output *out);
void trace_write(const struct trace_cycle *c);
/* The program used a block (what: "free" ...) that had been found unreachable; size_bytes 0: no longer known. The first
 * hundred of them are told. Any thread. */
void trace_unseen_use(const char *what, uintptr_t addr, size_t size_bytes, unsigned flavor, const void *caller);
const char *cycle_cause_name(enum cycle_cause cause);

#endif
