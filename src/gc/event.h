/* Telling the program about collections.
 *
 * What    functions of the program that are called when a collection is near or begins, has ended, or was made because a
 *         limit was near. An allocation may come from anywhere, with any lock held, so what an allocation brings about
 *         waits until the finalizer thread or the program itself runs it; several of one kind become one. What a thread
 *         collects because it was asked to is told at once, in that thread.
 * Locks   FIN for the table; none while a function runs.
 */
#ifndef GC_EVENT_H
#define GC_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum event { EVENT_BEGIN = 1, EVENT_END = 2, EVENT_LIMIT = 4, EVENT_ALL = 7 };
enum { EVENT_MAX_LISTENERS = 16 };
typedef void (*event_fn)(int event, void *arg);

/* Not in a critical section. 0, EINVAL (no function, no or unknown events), ENOMEM (the table is full). */
int event_listen(unsigned events, event_fn fn, void *arg);
int event_unlisten(event_fn fn, void *arg); /* EINVAL: not there */
bool event_is_wanted(void);                 /* somebody listens */
/* Any thread, where somebody listens: kept for event_end_here of this thread, or else for event_run_pending. */
void event_raise(unsigned events);
bool event_is_pending(void);

/* The others are called outside critical sections and run functions of the program: none of them from within one. */
void event_begin_here(void); /* tells BEGIN; what this thread raises until event_end_here is told there */
void event_end_here(void);   /* tells END in any case */
size_t event_run_pending(void); /* how many kinds were pending */

#endif
