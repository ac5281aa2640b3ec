/* Spans without an owner: those of ended threads, by flavor and class, until a refill adopts them.
 *
 * Locks   CENTRAL, one class at a time, inside. Caller in a critical section. A span comes and goes, and an orphan's bits
 *         change, only under its class's lock; so whoever drains the inbox never meets a span that is on its way.
 * Not here  new spans (arena.h), spans with an owner (tcache.h).
 */
#ifndef HEAP_CENTRAL_H
#define HEAP_CENTRAL_H

#include "heap/span.h"
#include "heap/tcache.h"

/* The span has no owner from now on. Whoever owned it has unlinked it and moved its windows away. */
void central_give(struct span *s);
/* A span with at least one free slot, on no list, owned by tc from now on; NULL: none. */
struct span *central_take(unsigned flavor, unsigned class_no, struct tcache *tc);
/* An orphan on no list has a free or dead slot again: collector while stopped. */
void central_offer(struct span *s);
void central_drain(void);           /* messages to all orphans are taken */
size_t central_release_empty(void); /* spans with no block left go back to the arena; how many */
size_t central_trim(void);          /* pages of the others that no block needs go back to the kernel; bytes */
struct inbox *central_inbox(unsigned flavor, unsigned class_no);
size_t central_check(void);         /* lists and spans agree; number of spans on them */
void central_fork_child(void);      /* all lists and inboxes empty, locks free */

/* ---- inboxes ---- */
struct span *inbox_take_all(struct inbox *b, bool close); /* the stack, linked through inbox_next; NULL: empty */
/* Take the remote bits of a span that came out of inbox b. false: the span has moved, and was forwarded.
 * pre: the owner of b; for an inbox of central, the class's lock. */
bool inbox_receive(struct inbox *b, struct span *s);

#endif
