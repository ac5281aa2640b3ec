/* Blocks that were found unreachable once, and what the program may still prove about them.
 *
 * What    in careful mode the collector takes a block only when it was found unreachable twice; between the two it is a
 *         suspect: handed out as before, and every free in its span goes the slow way, where a free of a suspect is
 *         seen. A free, realloc or malloc_usable_size of a suspect, or of a block judged dead, proves that the program
 *         holds it by a pointer that we cannot see: its site is pinned, and blocks of that site are roots from then on.
 *         A site here is what is known of every block: its size and its kind.
 * Owns    the table of pinned sites.
 * Locks   none: pins are only ever set, suspect bits only ever cleared while the world runs, both by atomic operations.
 */
#ifndef HEAP_PROBATION_H
#define HEAP_PROBATION_H

#include <stdbool.h>
#include <stdint.h>
#include "heap/heap.h"

void probation_set(bool is_careful); /* at start, or in tests */
bool probation_is_on(void);
/* Unmarked now, obj would be taken. World stopped. pre: obj is the start of a live block. */
bool probation_is_over(uintptr_t obj);

/* The program used the block: it is no suspect any more. true: it was one, and its site is pinned now. Any thread that
 * uses the block. */
bool probation_use(struct span *s, uint32_t idx);
/* For a free by another thread than the owner: a block judged dead is one, too, and is counted by who reads the message. */
bool probation_use_elsewhere(struct span *s, uint32_t idx);
/* The same for a block judged dead whose slot is not free yet: it lives again where the caller owns the span. In a critical
 * section. true: it does. */
bool probation_revive(const struct heap_obj *obj);

void probation_pin(const struct span *s);
/* As probation_pin, for a block at addr whose span the collector took whole: nothing where the memory serves others. */
void probation_pin_tomb(uintptr_t addr);
/* What is known of such a block; of a large one the size of its slices. false: it is none. pre: addr in the heap. */
bool probation_read_tomb(uintptr_t addr, struct heap_obj *obj, unsigned *flavor);
bool probation_is_pinned(const struct span *s); /* every block of the span is a root */

#endif
