/* Who called: the stack of the calling thread, and where an address lies. Part of the contract of storey os.
 *
 * Rules   as os.h: no locks, no allocation, async-signal-safe, but for os_walk_init. A damaged or foreign stack ends a
 *         walk, it never faults: memory outside the thread's recorded stack is read through the kernel.
 */
#ifndef OS_WALK_H
#define OS_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Looks up what ld.so offers; may lock and allocate: constructor only. Until then frames are followed by frame pointers
 * alone. */
void os_walk_init(void);
/* Return addresses of the callers, innermost first; at most max, the count is returned. Frames of the library itself at
 * the inner end are left out where it is a shared library. */
unsigned os_walk_stack(uintptr_t *pcs, unsigned max);

void os_walk_forget(void); /* a module is about to be loaded, maybe where another was */

/* Where an address lies, in words that outlive the process: addr2line -e module offset. */
struct os_place {
    const char *module; /* path as ld.so knows it, "" for the program; valid while it is loaded */
    uintptr_t offset;   /* address as the module's own symbols count it */
    uintptr_t base;     /* where its first page is mapped */
};
bool os_walk_place(uintptr_t pc, struct os_place *out); /* false: in no module that is loaded now */

#endif
