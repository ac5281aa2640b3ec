/* Watching allocations: what the slow paths do for the profile, the leak report and the trace of allocations.
 *
 * What    decides with heap/sample.h which blocks are looked at, walks the stack, and records the block. Nothing here is
 *         reached while all three are off.
 * Locks   called outside critical sections; enters them.
 */
#ifndef API_WATCH_H
#define API_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/options.h"
#include "gc/tracked.h"

struct watch_request {
    size_t size_bytes, align; /* as the program asked */
    unsigned flavor;
    bool is_large; /* no bin served it */
};
/* p was just allocated. The block to return instead: a sampled one may be moved to a place of its own, and *is_zero then says
 * whether that reads as zero. */
void *watch_allocated(void *p, const struct watch_request *r, bool *is_zero);
void watch_freed(void *p); /* p, a block of the heap, is about to be freed. pre: tracked_is_any() */
/* A large block may move: it is taken off the record before, and comes back with its new address and size. In a critical
 * section. */
struct tracked_block watch_lift(void *p);
void watch_put(void *p, struct tracked_block block, size_t size_bytes);

void watch_init(const struct options *o); /* constructor, once malloc works. *o stays */
void watch_fork_child(void);
void watch_set_profile_rate(size_t rate_bytes);
uint64_t watch_written_rate(void); /* the one that profiles name: the last that was not 0 */

#endif
