/* Weak references: handles that tell whether their target is still there, and links, words of the program that
 * become NULL when it is not.
 *
 * What    a handle is a collectable block without pointers that holds the target's address complemented;
 *         records in finalizer_table.h tie handle or link and target together. A link in a block ends with it.
 * Locks   FIN inside. Not in a critical section when called, unless said otherwise.
 * Not here  the order of clearing among the phases of a cycle: cycle.c (before finalizers: short links).
 */
#ifndef GC_WEAK_H
#define GC_WEAK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gc_weak;
/* NULL and *error (positive errno): EINVAL obj is not the start of a block, ENOMEM. */
struct gc_weak *weak_new(void *obj, int *error);
void *weak_get(struct gc_weak *weak); /* the target, or NULL once it is gone. Takes no lock */
bool weak_is_used(void); /* the program ever made a handle or a link */

/* 0 or a positive errno as gc_weak_link and its like document. */
int weak_link_set(void **link, void *obj, bool is_long);
int weak_link_remove(void **link);
int weak_link_move(void **from, void **to);

/* Stopped world. Careful mode: targets that were asked for since the last cycle found them unreachable. */
void weak_mark_roots(void);
struct finalizer_record;
void weak_end_asked(const struct finalizer_record *r); /* a cycle is complete: the record's handle, if it is one, is asked anew */
/* Stopped world, after the roots were drained: links whose target is unmarked become NULL. Records of dead
 * handles go later (finalizer_end), because a block that waits for its finalizer may hold a handle. */
void weak_clear(void);
/* FIN held: the record's block is freed by the program; its links become NULL, and it is forgotten as a
 * handle. */
void weak_forget_locked(struct finalizer_record *r);
/* FIN held: the block is freed by the program, and with it the links that lie in it. */
void weak_forget_links_locked(struct finalizer_record *container, size_t size_bytes);
void weak_end_link(struct finalizer_record *link); /* stopped world: it lies in a block that goes now */
void weak_fork_child(void); /* part of finalizer_fork_child */

#endif
