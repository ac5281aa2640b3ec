/* Marking beside the program: a clone of the process marks what it finds in its own memory, as it was when it was made.
 *
 * What    a cycle of two short stops instead of one long one. In the first the roots are read and the clone is made; in the
 *         second what it found unreachable is taken over, and the cycle goes on from there as any other. What was unreachable
 *         when the clone was made is unreachable for ever, so nothing that the program does meanwhile has to be watched; what
 *         it allocates meanwhile is alive. Only who makes an address of nothing (gc_find_object, what a program does while
 *         collections are inhibited) tells by twin_doubt.
 * Callers   the collector alone, holding CYCLE; twin_doubt: any thread.
 * Order   twin_begin in a stop; twin_poll until it is no longer TWIN_RUNNING; TWIN_DONE: in a stop twin_import; twin_end.
 * Not here  what a clone is (os/clone.c); phases (cycle.c).
 */
#ifndef GC_TWIN_H
#define GC_TWIN_H

#include <stdbool.h>
#include <stdint.h>
#include "gc/cycle.h"

enum twin_use { TWIN_NEVER, TWIN_WHERE_IT_PAYS, TWIN_ALWAYS };
void twin_enable(enum twin_use use); /* concurrent= */
/* World running: may this cycle be one of two stops? Where memory is short it is not. */
bool twin_is_wanted(enum cycle_cause cause);
/* World stopped, all roots given and nothing drained. In the clone mark is called, which marks everything, and this does not
 * return. true: it is on its way. false: no clone could be made; the caller marks itself. */
bool twin_begin(bool (*mark)(void));
bool twin_is_on_its_way(void);
enum twin_state { TWIN_RUNNING, TWIN_DONE, TWIN_LOST };
/* pre: twin_is_on_its_way. is_awaited: not before it has ended. Where it is lost it is gone, and a cycle of one stop is due. */
enum twin_state twin_poll(bool is_awaited);
/* World stopped, heap settled, after mark_begin: marked is what is in use but for what the clone found unreachable. false: that is in
 * doubt, and nothing is marked. */
bool twin_import(void);
uint64_t twin_cpu_ns(void); /* what the clone used */
/* Over: the result is taken or of no use. A clone that still runs is ended. Also while cycles are held off (cycle_fork_prepare), by a
 * thread before its exec, whose new program would be left with a child. */
void twin_end(void);
/* In a critical section, before an address is made that no reference led to. */
void twin_doubt(void);
void twin_fork_child(void);

#endif
