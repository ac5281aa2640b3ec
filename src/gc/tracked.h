/* Blocks whose allocation was recorded: where each came from, and for how many cycles nothing has reached it.
 *
 * What    a table from the start of a block to its site. A block leaves it when it is freed, or when its slot is handed out
 *         anew. After each marking every record is judged: unreachable once, or twice running (leaked). A block that the
 *         collector took stays on record for one more cycle, in case the program frees it late after all.
 * Owns    the table; figures of sites other than SITE_ALLOCATED and SITE_FREED change only here.
 * Locks   TRACKED, inside; callers are in a critical section. tracked_judge: world stopped.
 */
#ifndef GC_TRACKED_H
#define GC_TRACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "heap/site.h"

/* What is remembered of a block that moves. */
struct tracked_block {
    struct site *site; /* NULL: it was not on record */
    size_t size_bytes;
    uint32_t weight; /* samples that it stands for */
    bool may_leak;   /* it should have been freed: not so for blocks of gc_malloc */
};

void tracked_add(uintptr_t start, const struct tracked_block *block); /* pre: block->site is not NULL */
struct tracked_block tracked_remove(uintptr_t start); /* it is being freed. site NULL: not on record */
void tracked_resize(uintptr_t start, size_t size_bytes); /* in place; nothing happens where it is not on record */
bool tracked_is_any(void);        /* something was ever recorded: frees have to be looked at */
uint64_t tracked_n_lost(void);    /* blocks that could not be recorded for want of memory */
void tracked_want_leaks(void);    /* from now on leaked blocks are told apart: pointed to by another one, or not */
/* Collector, world stopped, everything reachable is marked and nothing is published yet. */
void tracked_judge(void);
/* The same, what is dead is published: those slots may be handed out again before the next cycle, to blocks not on record. */
void tracked_note_taken(void);
/* Where a block came from; NULL: it is not on record. World stopped, or in a clone. */
struct site *tracked_site_of(uintptr_t start);
void tracked_fork_child(void);

#endif
