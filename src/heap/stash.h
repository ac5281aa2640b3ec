/* Large blocks that a thread has freed and will ask for again.
 *
 * What    a few spans of one large block each, of up to STASH_SPAN_SLICES slices, by their number of slices; the last one freed
 *         is the next one handed out. So a program that exchanges blocks of some ten KiB takes no lock for them, writes no line
 *         that all threads write, and finds pages that are there and warm. The block's free bit is set meanwhile, so a second
 *         free is told as ever, and nothing of it is marked, counted or scanned.
 * Locks   as tcache.h: the owner in a critical section; the collector, which releases them, while the world is stopped.
 * Not here  blocks of other flavors than malloc's, and whatever hangs on a block: those go back at once (large.c).
 */
#ifndef HEAP_STASH_H
#define HEAP_STASH_H

#include "heap/tcache.h"

/* pre: the caller has won the block's free bit, and nothing else holds the span. false: it is none for a stash, or there is no room
 * in this thread's. */
bool stash_keep(struct span *s);
/* A block of a span of exactly n slices, with content; NULL: there is none. */
void *stash_take(uint32_t n_slices, size_t usable_bytes, unsigned flavor);
void stash_drop(struct span *s); /* it leaves the stash that it is in. Its owner, or the collector while stopped */
void stash_release(struct tcache *tc); /* all go back to the arena. Critical section of the owner, or whoever stands for it */
size_t stash_check(const struct tcache *tc); /* lists and spans agree; number of spans */

#endif
