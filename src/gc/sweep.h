/* The end of a cycle: what is not marked is judged dead.
 *
 * What    walks all spans once: dead bits, totals, and spans without a live block go back to the arena at
 *         once, so that memory leaked by a thread that sleeps comes back. Applying dead bits is the owner's,
 *         later (span_sweep).
 * Callers   the collector, world stopped, marking and finalizers done.
 */
#ifndef GC_SWEEP_H
#define GC_SWEEP_H

#include <stddef.h>
#include <stdint.h>

struct sweep_totals {
    uint64_t n_live, n_dead; /* blocks */
    size_t live_bytes, dead_bytes;
    size_t suspect_bytes; /* of blocks on probation, which are neither */
    uint64_t n_held, n_unheld; /* freed blocks: still reached, and thus live; free from now on */
    size_t held_bytes, unheld_bytes;
    uint64_t n_spans_released;
};
/* Publishes; tells the heap how much is in use. */
struct sweep_totals sweep_publish(void);
/* Mode report: counts, publishes nothing, clears the marks. */
struct sweep_totals sweep_count(void);

#endif
