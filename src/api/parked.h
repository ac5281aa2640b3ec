/* Values that the program gave to the kernel and will get back with a signal: until then the kernel alone may hold them.
 *
 * What    the last so many values queued to the own process, and one for each message queue that was asked to notify.
 *         The tables lie in our data segment, which is a root.
 * Callers  signal handlers, too: nothing is locked or allocated.
 */
#ifndef API_PARKED_H
#define API_PARKED_H

#include <signal.h>

/* Before the signal is queued: it may be delivered at once. */
void parked_add(void *value);
/* It was delivered, or could not be queued; of equal values one is taken back. */
void parked_take_back(void *value);
/* What came with a delivered signal is held by whoever was told. */
void parked_delivered(const siginfo_t *info);
/* The queue holds this value from now on; NULL: none. */
void parked_set_queue(int queue, void *value);

#endif
