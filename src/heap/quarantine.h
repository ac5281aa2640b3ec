/* Freed blocks that are used again only when no pointer to them is left.
 *
 * What    with option quarantine a free zeroes the block and sets its bit in `held`: it is neither live nor free, and a second
 *         free of it is told. The next collection makes free what nothing reaches, and leaves the rest as it is. Where none
 *         comes, all of it can be made free without one.
 * Invariants  a held block keeps its span alive. The atomic OR decides who has freed it. Who makes it free without a stop clears the
 *         bit first, and looks once more when the free bit is set: a second free that came between is told.
 * Locks   none: any thread, in a critical section, so that no stop comes between a step and the next.
 * Not here  which frees are held, and when all are given up: gc/withhold.h.
 */
#ifndef HEAP_QUARANTINE_H
#define HEAP_QUARANTINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/compiler.h"
#include "heap/span.h"

/* A line of its own: every free reads it. */
struct quarantine_state {
    bool has_begun; /* through quarantine_is_on */
    bool is_holding; /* frees that begin now are held; of gc/withhold.c */
} __attribute__((aligned(64)));
extern struct quarantine_state quarantine_state;
ALWAYS_INLINE bool quarantine_is_on(void)
{
    return LOAD_ONCE(quarantine_state.has_begun);
}
/* At start: spans have SPAN_HOLDS from now on, those that there are, too. In a critical section. */
void quarantine_begin(void);
/* false: it has been freed before. is_moved: its content lies elsewhere now, and only addresses in it are cleared, for the sake of
 * fontconfig (gc/mark_distance.c). pre: SPAN_HOLDS, found handed out. Afterwards the span may end at any moment, unless the caller
 * owns it. */
bool quarantine_hold(struct span *s, uint32_t idx, bool is_moved);
/* Collector, world stopped, marking done: what is held and not marked is free. How many that are; *n_kept others are still held. */
uint32_t quarantine_judge(struct span *s, uint32_t *n_kept);
/* All that is held becomes free, reached or not; that of small spans when their owners read their messages. How many blocks. */
size_t quarantine_release_all(void);
/* Whoever has just set free bits by other means than quarantine_judge: a block that is held now was freed twice. */
void quarantine_check_freed(struct span *s, uint32_t w, uint64_t freed);

#endif
