/* The state that arena.c, arena_huge.c and arena_purge.c share. For these only; the protocol is in arena.c. */
#ifndef HEAP_ARENA_INT_H
#define HEAP_ARENA_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/bits.h"
#include "heap/arena.h"
#include "heap/span.h"
#include "heap/window.h"
#include "os/os.h"

enum {
    WORD_SLICES = 64,
    ARENA_LARGE_SLICES = 16, /* requests of so many are for blocks that programs write, or hardly write, one by one */
    ARENA_HUGE_LEAST_BYTES = 4 << 20, /* no advice below this size of the arena */
};

struct arena_word {
    uint64_t used, recent, old;
    uint64_t huge; /* in advised huge pages, from the growth on; of a page that was split the first slice alone */
};

/* What the first writes to pages take on this machine, just now; arena_huge.c */
#define ARENA_COST_NONE UINT64_MAX /* of a huge page: there was none to be had */
struct arena_cost {
    uint64_t page_ns;   /* of small ones, the least; 0: not known */
    size_t again_bytes; /* huge pages were dear: no advice before the arena has this size, ... */
    size_t pause_bytes; /* ... so much more than it had */
};

struct arena {
    struct os_lock lock;
    struct arena_word *words;
    size_t n_slices;        /* committed */
    size_t n_used;
    size_t n_foreign;       /* of these, slices with TOMB_FOREIGN: not ours, or a hole */
    size_t first_free_word; /* no free slice below it */
    size_t table_mapped, words_mapped;
    uint32_t n_claimed;     /* slices that a purge holds just now */
    uint32_t n_split;       /* huge pages that are none any more */
    enum arena_hugepages hugepages;
    struct arena_cost cost;
    bool is_short, is_dense; /* never false again */
    bool is_limited;
};
extern struct arena arena; /* all by its lock; figures may be read without */

ALWAYS_INLINE uintptr_t arena_addr(size_t slice)
{
    return window.arena + (slice << SLICE_SHIFT);
}

void arena_cost_note_page(struct arena_cost *cost, uint64_t ns);
/* The arena has so many bytes. true: the next huge pages are better small ones. */
bool arena_cost_note_huge(struct arena_cost *cost, uint64_t ns, size_t arena_bytes);
void arena_advise_huge(size_t first, size_t n, size_t n_wanted); /* n new slices, for a request of n_wanted. The lock is held */

/* By default: what was advised last was, and an arena of so many slices has not grown by the pause since. */
ALWAYS_INLINE bool arena_is_huge_dear(size_t n_slices)
{
    return arena.hugepages != ARENA_HUGE_ALWAYS && n_slices << SLICE_SHIFT < arena.cost.again_bytes;
}

#endif
