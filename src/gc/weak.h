/* Weak references: a handle that tells whether its target is still there, and does not keep it.
 *
 * What    a handle is a collectable block without pointers that holds the target's address complemented;
 *         records in finalizer_table.h tie handle and target together.
 * Locks   FIN inside. Not in a critical section when called, unless said otherwise.
 * Not here  the order of clearing among the phases of a cycle: cycle.c (before finalizers: short links).
 */
#ifndef GC_WEAK_H
#define GC_WEAK_H

#include <stdint.h>

struct gc_weak;
/* NULL and *error (positive errno): EINVAL obj is not the start of a block, ENOMEM. */
struct gc_weak *weak_new(void *obj, int *error);
void *weak_get(struct gc_weak *weak); /* the target, or NULL once it is gone. Takes no lock */

/* Stopped world, after the roots were drained: links whose target is unmarked become NULL. Records of dead
 * handles go later (finalizer_split), because a block that waits for its finalizer may hold a handle. */
void weak_clear(void);
/* FIN held: the record's block is freed by the program; its links become NULL, and it is forgotten as a
 * handle. */
struct finalizer_record;
void weak_forget_locked(struct finalizer_record *r);
void weak_fork_child(void); /* part of finalizer_fork_child */

#endif
