/* Several markers at once: helper threads, and the work that they share.
 *
 * What    a helper sleeps in a gate of its own (os/gate.c), so that it counts as stopped and is never
 *         signalled; in a stop it is woken and marks, without leaving the gate, and sleeps again before the
 *         world runs.
 * Locks   one lock over the shared work, held for a copy of some entries. Nothing is allocated in a stop.
 * Not here  marking itself: mark_blocks.c. How a thread is made: the starter that api gives.
 */
#ifndef GC_MARK_TEAM_H
#define GC_MARK_TEAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/compiler.h"

enum { MARK_TEAM_MAX = 16, MARK_TEAM_SHARED_ENTRIES = 16 * 1024 };

/* n_markers with the collecting thread itself, 0: as many as there are processors, up to 4. */
void mark_team_config(unsigned n_markers);
void mark_team_set_min_heap(size_t n_bytes); /* helpers are started, and used, from this size on; tests */
/* How a thread is made; as finalizer_set_thread_starter. */
void mark_team_set_starter(int (*start)(void *(*fn)(void *), void *arg));
/* Starts helpers that are missing and would pay. From gc_* calls only. Not in a critical section. */
void mark_team_poke(void);
/* Helpers end, and are gone when this returns (or after a second at most: one may be stuck in a page fault). Not in a
 * critical section. */
void mark_team_end(void);
void mark_team_fork_child(void); /* helpers are gone */

/* ---- for mark.c ---- */
struct marker;
unsigned mark_team_size(void); /* markers that the next cycle can use, 1: the collecting thread alone */
/* All of them, beginning with what markers[0] has, until nothing is left anywhere. false: something was
 * unreadable. shared has room for MARK_TEAM_SHARED_ENTRIES. */
bool mark_team_run(struct marker *markers, unsigned n_markers, uint64_t *shared);

/* ---- for mark_blocks.c ---- */
extern uint32_t mark_team_n_idle; /* atomic: members that wait for work */
void mark_team_give(struct marker *m);

#endif
