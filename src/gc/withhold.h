/* Which frees are held back (heap/quarantine.h), and when what is held is given up.
 *
 * What    frees are held where collections come that will judge them. What is held is given up, reached or not, where growth led to
 *         two collections in a row that were skipped, where it keeps the heap at its limit, where no memory is left, and
 *         when settings change so that no collection comes any more. So without a limit it costs as much memory as something
 *         still points to, and never all of it.
 * Locks   none. Outside of stops.
 */
#ifndef GC_WITHHOLD_H
#define GC_WITHHOLD_H

#include <stdbool.h>
#include <stddef.h>
#include "gc/cycle.h"
#include "gc/sweep.h"
#include "heap/heap.h"
#include "heap/quarantine.h"
#include "os/os.h"

/* Of a free that begins now. */
static inline enum heap_free_how withhold_how(bool is_moved)
{
    if (!LOAD_ONCE(quarantine_state.is_holding) || os_seccomp_is_on())
        return HEAP_FREE_NOW;
    return is_moved ? HEAP_FREE_MOVED : HEAP_FREE_HELD;
}
/* After the pacer was told. Collector. */
void withhold_after_cycle(enum cycle_cause cause, enum cycle_skip skip, const struct sweep_totals *totals);
void withhold_settings_changed(void); /* at start, too */
bool withhold_give_up(void); /* false: nothing was held */

#endif
