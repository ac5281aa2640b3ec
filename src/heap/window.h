/* The range of addresses that is ours, and where its parts lie in it.
 *
 * What    chooses the window at random where data does not imitate its addresses, and grows its parts at their ends.
 * Owns    struct window. Set once by window_init, then read only (but for the ends, which the owner of each part keeps).
 * Not here  what the parts hold: arena.c, meta.c.
 */
#ifndef HEAP_WINDOW_H
#define HEAP_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct window {
    uintptr_t base;
    uintptr_t scratch;
    size_t scratch_region_bytes; /* each of SCRATCH_N regions */
    uintptr_t slices;      /* slice table */
    uintptr_t arena_words; /* the arena's bitmaps */
    uintptr_t meta;
    uintptr_t arena;
    size_t arena_max_bytes;
    uintptr_t end;
};
extern struct window window;

/* Finds a free window and maps the first bytes of the slice table in it. false: no address works. */
bool window_init(size_t arena_cap_bytes);
/* A failed start is undone; no part has grown yet. */
void window_fini(void);
/* Fork child: a vanished thread may have mapped pages at the end of a part and not yet written down that it did; they go,
 * so that the part can grow there. Those and no others: what else lies in the window is the program's. */
void window_forget_unrecorded(uintptr_t mapped_end);
/* A part grows: map [start + *mapped, start + want) rounded up to step. false: no memory, or something foreign is there. */
bool window_grow(uintptr_t start, size_t *mapped_bytes, size_t want_bytes, size_t step_bytes);

#endif
