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

/* The last walks of one thread: where on the stack each return address lay. A stack that begins at the same place and holds the
 * same addresses in all these places is the same stack, which a few loads tell. Not on aarch64, where functions put the return
 * address where they like. */
enum { OS_WALK_MEMO_WALKS = 4, OS_WALK_MEMO_FRAMES = 64 };
struct os_walk_memo {
    struct os_walk {
        uintptr_t sp; /* 0: none */
        void *known;  /* what the caller made of it */
        unsigned n;
        struct {
            uintptr_t slot, pc;
        } frames[OS_WALK_MEMO_FRAMES];
    } walks[OS_WALK_MEMO_WALKS];
    unsigned next; /* to be replaced */
};
/* What was said of the stack as it is now; else NULL, and the walk is made: pcs and *n_pcs, and *fresh takes what is to be said of
 * it (NULL: it is not one to remember). memo: zeroed at first. */
void *os_walk_known(struct os_walk_memo *memo, uintptr_t *pcs, unsigned max, unsigned *n_pcs, struct os_walk **fresh);

void os_walk_forget(void); /* a module is about to be loaded, maybe where another was */

/* Where an address lies, in words that outlive the process: addr2line -e module offset. */
struct os_place {
    const char *module; /* path as ld.so knows it, "" for the program; valid while it is loaded */
    uintptr_t offset;   /* address as the module's own symbols count it */
    uintptr_t base;     /* where its first page is mapped */
};
bool os_walk_place(uintptr_t pc, struct os_place *out); /* false: in no module that is loaded now */

#endif
