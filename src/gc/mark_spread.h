/* On which processors the marker's helpers run, and who wakes the threads that stood still.
 *
 * What    some kernels wake a thread on the processor of whoever wakes it, though others are idle: to pack virtual machines,
 *         say. Then a helper and the collecting thread mark in turn, and the program's threads run in turn afterwards. So
 *         helpers that were found there keep off, and one that is awake at the end of a stop wakes the program's threads,
 *         on a processor that it leaves.
 * Not here  when helpers are woken: mark_team.c.
 */
#ifndef GC_MARK_SPREAD_H
#define GC_MARK_SPREAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The collecting thread, before it wakes the helpers. tids: theirs, atomic; 0: none. */
void mark_spread_begin(const pid_t *tids, unsigned n);
/* A helper that was woken, before it joins, so that nobody waits until it runs elsewhere. */
void mark_spread_helper(void);
/* A helper that has nothing more to do, in the stop of this odd epoch: waits for its end, for a while. */
void mark_spread_wake_world(uint32_t epoch);
/* For os_stop_set_waker. Waits for a helper that is about to do so. */
bool mark_spread_has_woken(uint32_t epoch);
void mark_spread_fork_child(void);

#endif
