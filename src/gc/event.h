/* Telling the program about collections.
 *
 * What    functions of the program that are called when a collection begins (only one that it asked for: an allocation may
 *         come from anywhere, with any lock held), has ended, or was made because a limit was near. The latter two wait
 *         until the finalizer thread or the program itself runs them; several of one kind become one.
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
void event_raise(unsigned events);          /* any thread; kept for event_run_pending, where somebody listens */
bool event_is_pending(void);
/* Not in a critical section; runs functions of the program. */
void event_run(unsigned events);
size_t event_run_pending(void); /* how many kinds were pending */

#endif
