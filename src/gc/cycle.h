/* One collection, from decision to restart: the order of the phases, and nothing else.
 *
 * Not in a critical section when called; any registered or unregistered thread. Runs on a stack of ours,
 * with the signals of the program blocked from the stop to the restart. Holds CYCLE for its duration. Phases
 * are in world.h, roots.h, mark.h, finalizer.h, weak.h, sweep.h, pacer.h and never call each other.
 */
#ifndef GC_CYCLE_H
#define GC_CYCLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "os/os.h"

enum cycle_cause {
    CYCLE_GROWTH,
    CYCLE_LIMIT,
    CYCLE_EXPLICIT,
    CYCLE_STRESS,
    CYCLE_NO_MEMORY,
    CYCLE_INQUIRY, /* explicit; who asks looks at what the stop found, so there is one (twin.h) */
};

/* Why a cycle was skipped (law 1); names in cycle_skip_name, counters in base/counters. */
enum cycle_skip {
    SKIP_NONE = 0,
    SKIP_BUSY, /* another thread is collecting */
    SKIP_OFF,  /* mode=off, or not initialised */
    SKIP_INHIBITED,
    SKIP_FORK,
    SKIP_VFORK, /* a vfork is in flight, or this is a vfork child */
    SKIP_SECCOMP,
    SKIP_NO_PROC,
    SKIP_NO_PAGEMAP,
    SKIP_NOT_STOPPED,
    SKIP_UNINTERRUPTIBLE,
    SKIP_STACK_MISSING,
    SKIP_FAULT,
    SKIP_IO_URING,
    SKIP_FUSE,
    SKIP_NO_MEMORY,
    SKIP_TOO_MANY_ROOTS,
    SKIP_TWIN,   /* the cycle goes on when a clone has marked (twin.h) */
    SKIP_NESTED, /* called from a handler that interrupted us, or in a finalizer phase */
    SKIP_N
};
const char *cycle_skip_name(enum cycle_skip s);

enum cycle_mode { MODE_OFF, MODE_REPORT, MODE_EXPLICIT, MODE_RECLAIM, MODE_AUTO };
struct cycle_config {
    enum cycle_mode mode;
    unsigned trace; /* 0, 1 */
    struct os_output trace_out;
    bool check;     /* mark again and compare */
    bool has_hider; /* a runtime that holds blocks by what is no address of them is in the process from the start */
};
void cycle_init(const struct cycle_config *config); /* until called, every cycle is SKIP_OFF */
void cycle_set_mode(enum cycle_mode mode);
enum cycle_mode cycle_mode(void);
bool cycle_keeps_malloc(void); /* after roots_scan: every block of malloc counts as reachable */

struct trace_cycle;
/* Run a full cycle now. SKIP_NONE: done; dead bits are published. Else why not; nothing was reclaimed.
 * told: for cycle_tell, which is called when signals need wait no longer: whoever reads the trace may let it wait. */
enum cycle_skip cycle_run(enum cycle_cause cause, struct trace_cycle *told);
void cycle_tell(const struct trace_cycle *told);
/* Wait until a cycle that some other thread runs now is over (not in a critical section). */
void cycle_wait(void);
uint64_t cycle_count(void); /* completed cycles */

void cycle_inhibit(void), cycle_uninhibit(void); /* nested, any thread */
void cycle_fork_prepare(void); /* waits for a running cycle; none starts until fork_parent or fork_child */
void cycle_fork_parent(void);
void cycle_fork_child(void);
void cycle_vfork_begin(void), cycle_vfork_end(void);
/* In place of cycle_vfork_end: the process lives on in our memory. No cycle starts until it has ended, or has another. */
void cycle_vfork_lasts(pid_t pid);

#endif
