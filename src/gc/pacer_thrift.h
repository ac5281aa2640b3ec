/* How far away the next cycle of a program is that leaves freeing to the collector, where cycles cost it little.
 *
 * What    The distance of `percent` costs memory, and on many machines time as well, for pages that are touched first. Where marking is
 *         cheap beside what the program does between two cycles, they come earlier, until they take THRIFT_PERCENT of the CPU time, or
 *         what the option `budget` names, if they recover next to nothing or it is more.
 * Callers  pacer.c, after each cycle. Pure.
 */
#ifndef GC_PACER_THRIFT_H
#define GC_PACER_THRIFT_H

#include <stddef.h>
#include <stdint.h>

enum { THRIFT_PERCENT = 20, THRIFT_LEAST_PERCENT = 40 /* of the distance: never less */ };

/* What came before a cycle, and the cycle. */
struct thrift_past {
    size_t was_live_bytes, live_bytes, dead_bytes;
    uint64_t between_ns, cycle_ns; /* of CPU time */
};
/* What the program may take until the next cycle, if it goes on so; SIZE_MAX: nobody knows. */
size_t thrift_distance(const struct thrift_past *past, unsigned budget_percent);
/* Of a distance that is due: as near to what thrift_distance said as it may be. */
size_t thrift_limit(size_t due_bytes, size_t thrifty_bytes);

#endif
