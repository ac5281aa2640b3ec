/* When to collect, and how far away the next one is.
 *
 * What    goal = live * (1 + percent/100), at least `floor`; adaptive distance; CPU budget; memory limit.
 *         The equations are in the head of pacer.c.
 * pacer_is_due is called from slow paths only, in a critical section, and is a few loads in the common case.
 */
#ifndef GC_PACER_H
#define GC_PACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/compiler.h"
#include "gc/cycle.h"

struct pacer_config {
    int percent; /* negative: never by growth */
    size_t floor_bytes;
    size_t limit_bytes; /* 0 none */
    bool limit_is_cgroup;
    unsigned budget_percent;
    unsigned stress; /* every n-th slow path; 0 off */
    bool expects_garbage; /* from the start, as after pacer_expect_garbage, but for huge pages */
};
void pacer_init(const struct pacer_config *config);
void pacer_set_percent(int percent);
void pacer_set_limit(size_t bytes);
/* The program leaves freeing to the collector: from now on cycles come earlier. Idempotent. */
void pacer_expect_garbage(void);
/* Every slow path counts: none may pass by pacer_is_due. */
extern bool pacer_stress_is_on; /* through pacer_is_stressed */
ALWAYS_INLINE bool pacer_is_stressed(void)
{
    return UNLIKELY(LOAD_ONCE(pacer_stress_is_on));
}
/* extra_bytes: what the caller is about to take. cause is set when true. */
bool pacer_is_due(size_t extra_bytes, enum cycle_cause *cause);
/* The heap is so far beyond its goal that allocating should wait for the cycle. As the last look saw it: a few loads. */
bool pacer_is_overdue(void);
/* Who listens for the beginning of cycles is told when an eighth of the distance is left, once for each cycle, by
 * pacer_is_due. pacer_look_early: somebody listens from now on. */
void pacer_look_early(void);
bool pacer_is_announced(void); /* of the next cycle, or of the one that runs */
/* A cycle that is due cannot be finished yet: the next look comes when some more has been handed out. */
void pacer_look_again(void);
/* CPU time that a clone used for the cycle of which pacer_cycle_done comes next: not this process's, and paid for all the same. */
void pacer_note_clone(uint64_t cpu_ns);
/* After a cycle (or a skipped one: is_complete false). */
void pacer_cycle_done(bool is_complete, size_t live_bytes, size_t dead_bytes, uint64_t cpu_ns);
size_t pacer_goal_bytes(void); /* SIZE_MAX: neither growth nor a limit brings a cycle */
size_t pacer_limit_bytes(void); /* 0: none */
void pacer_fork_child(void);

#endif
