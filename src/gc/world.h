/* The world: all threads of the process but the collecting one; stopped or running.
 *
 * What    brings every thread to a standstill and proves it, or says why it could not and lets all run on.
 * Callers   the collector alone, holding CYCLE, in a critical section.
 * Order     world_prepare; world_stop; look at slots, world_reap; world_start. Slots are valid from a successful
 *           world_stop to world_start.
 * Not here  how a thread is signalled and parked (os/stop.c); what is read from its stack (roots_threads.c).
 */
#ifndef GC_WORLD_H
#define GC_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include "base/check.h"
#include "gc/cycle.h"
#include "os/os.h"

/* World running: handler in place, scratch for as many threads as exist plus half. SKIP_NONE, or why no stop can be
 * tried. */
enum cycle_skip world_prepare(void);
/* SKIP_NONE: every thread but the caller is proven stopped. Else why not, and all run again. pre: world_prepare
 * succeeded. */
enum cycle_skip world_stop(void);
/* All threads run on; never waits for them. Harmless when nothing is stopped. */
void world_start(void);
bool world_is_stopped(void);
#define world_assert_stopped() ASSERT(world_is_stopped())

/* One slot per thread met in this stop. Its state is STOPPED (sp, registers and frame are valid), PUBLISHED (thread is
 * valid) or GONE (it runs no code of the process: exited, or a worker of the kernel). */
size_t world_n_slots(void);
const struct os_stop_slot *world_slot(size_t slot_idx);
/* Threads that a stop can hold since the last world_prepare: what to size tables by. */
size_t world_capacity(void);
/* Caches of threads that ended without saying so become central's. World stopped. */
void world_reap(void);
void world_fork_child(void);

#endif
