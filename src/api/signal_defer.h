/* Keeping the program's signal handlers out of the allocator. */
#ifndef API_SIGNAL_DEFER_H
#define API_SIGNAL_DEFER_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* Called first in the trampoline. True: the signal will come again when the thread has left the allocator,
 * and the trampoline returns at once. False: the handler may run now. Async-signal-safe. */
bool signal_defer(int sig, siginfo_t *info, void *ucontext);
/* A fast path that a signal interrupted went on into a slow path that will not return to its caller the
 * ordinary way (an exception): give it its return address back and let the signal in. Else nothing. */
void signal_unhook(void);

/* ---- signal_thunk_*.S ---- */
/* Where a function without a frame, interrupted at any instruction, finds its return address. */
uintptr_t *signal_return_slot(void *ucontext);
/* Stands in for that return address: signal_thunk_return, signal_thunk_release, then back to the caller. */
extern const char signal_thunk[] __attribute__((visibility("hidden")));
uintptr_t signal_thunk_return(void); /* the true return address */
void signal_thunk_release(void);     /* lets the signal in */

#endif
