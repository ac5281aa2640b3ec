/* Slices: which are in use, which have content, and where the next come from.
 *
 * What    hands out runs of slices, lowest address first, and takes them back; keeps freed content for a while, because a
 *         page that is reused costs nothing and a page from the kernel costs a fault; then gives it to the kernel.
 * Locks   ARENA, inside. Caller in a critical section.
 * Not here  what a run is used for: span.h, large.c.
 */
#ifndef HEAP_ARENA_H
#define HEAP_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum arena_hugepages { ARENA_HUGE_NEVER, ARENA_HUGE_WHERE_CHEAP, ARENA_HUGE_ALWAYS }; /* as the option has them */
bool arena_init(size_t cap_bytes, enum arena_hugepages hugepages);
/* Run of n slices whose address is a multiple of align_slices slices; 0: no memory. is_zero: every byte reads as 0. */
uintptr_t arena_take(uint32_t n_slices, uint32_t align_slices, bool *is_zero);
void arena_give(uintptr_t addr, uint32_t n_slices); /* content may remain */
void arena_give_empty(uintptr_t addr, uint32_t n_slices); /* its pages were moved away or purged by the caller */
void arena_lose(uintptr_t addr, uint32_t n_slices); /* taken ones that became a hole: never used again */
bool arena_take_at(uintptr_t addr, uint32_t n_slices); /* exactly these, if they are free: growth in place */
bool arena_is_huge(uintptr_t addr); /* in an advised huge page that is worth keeping whole */
void arena_moved(uintptr_t from, uintptr_t to, uint32_t n_slices); /* the pages of these slices, to others; advice goes along */
void arena_renew_advice(uintptr_t addr, uint32_t n_slices); /* taken ones that may be mapped anew: the kernel is told what we noted */
void arena_split_huge(uintptr_t addr); /* before single pages of it go: it is none any more, nor made one again by the kernel */
/* Blocks are allocated through all of the memory, over and over: huge pages pay from a few MiB on. */
void arena_expect_dense(void);
/* What is held is limited: pages that nobody asked for are not wanted, as long as the heap is small. */
void arena_expect_limit(bool is_limited);
size_t arena_purge(bool also_recent); /* content of free slices to the kernel: the old generation, or all. Bytes */
void arena_age(void);                 /* recent becomes old */
/* Addresses are running out: the arena has a good part of RLIMIT_AS, or could not grow. From then on blocks of up to
 * SIZECLASS_MAX_PACKED share spans, because with slices of their own they would use half of what there is. */
bool arena_is_short(void);
size_t arena_max_bytes(void); /* no block has more */
size_t arena_committed_bytes(void);
size_t arena_used_bytes(void);
size_t arena_dirty_bytes(void);       /* free, with content */
size_t arena_clean_bytes(void);       /* free, without */
void arena_check(size_t n_span_slices); /* the bitmaps agree with the figures and with that many slices under spans */
void arena_fork_child(void);          /* rebuild from the slice table */

#endif
