/* Marking: from words found in memory to mark bits of everything that they reach.
 *
 * What    the marker as roots.c, cycle.c and the finalizer phases see it: ranges and addresses go in, mark
 *         bits come out. A word counts when its low 47 bits lie in a block that is handed out; with bit 47
 *         set it counts only as a NaN box (bits 52 to 63 all ones).
 * Callers   the collector alone, world stopped. mark_prepare: before the stop, in a critical section, may
 *         map memory. The functions that take a range read it directly: where a page may be unreadable, call
 *         them under os_fault_guard. A fault leaves the marker whole; the rest of that range was not read,
 *         and only that.
 * Not here  which ranges are roots (roots.c), what becomes of unmarked blocks (sweep.c).
 */
#ifndef GC_MARK_H
#define GC_MARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/compiler.h"

/* ---- one cycle, in this order ---- */
bool mark_prepare(void); /* reserves the stack; false: no memory */
/* snapshot of the arena's bounds. pre: heap_settle ran, all marks are clear */
void mark_begin(void);
/* blocks of flavor ROOT; with is_malloc_root those of malloc too */
void mark_root_spans(bool is_malloc_root);
/* everything reachable from what was given; false: a page of the heap is unreadable */
bool mark_drain(void);
/* After mark_drain, in a process that has fontconfig, Python, LuaJIT or Fiddle (roots_disguises): what blocks refer to by distance or in
 * disguise, and everything that reaches; *n_found blocks were referred to by nothing else. false: as mark_drain. mark_distance.c */
bool mark_distances(unsigned disguises, size_t *n_found);
/* After that: each block that one refers to so, and the offset of what does. Reads memory: may fault. */
struct span;
void mark_distances_of(const struct span *s, uint32_t idx, void (*found)(size_t offset, uintptr_t start, void *ctx), void *ctx);
/* after the restart: gives back what an unusually deep stack used */
void mark_finish(void);
void mark_clear_all(void); /* the cycle is void: no block is marked */
void mark_alone(void); /* in this cycle no helper is asked, because none is there (in a clone) or little is to do. Before mark_drain */

/* ---- input; nothing is final until the next mark_drain ---- */
/* 8-byte words of [lo, hi); bounds need no alignment, partial words at the ends are left out */
void mark_words(uintptr_t lo, uintptr_t hi);
/* 8-byte words at each multiple of 4 (packed structures) */
void mark_words_unaligned(uintptr_t lo, uintptr_t hi);
/* 8-byte words at each byte: compiled code holds addresses as immediates (HotSpot's inline caches) */
void mark_words_bytewise(uintptr_t lo, uintptr_t hi);
/* As mark_words; a word that is the end of a block also keeps the block that ends there (loops that run to
 * the end). */
void mark_stack_words(uintptr_t lo, uintptr_t hi);
/* The program may use a block of malloc to its last byte, which is longer than asked otherwise (alloc_padded). After a small one
 * the ends of all small ones keep them. Any thread, any time. */
enum { MARK_END_SMALL_BYTES = 128 };
extern bool mark_has_full_blocks;
static inline void mark_note_full_block(size_t size_bytes)
{
    if (size_bytes <= MARK_END_SMALL_BYTES && !LOAD_ONCE(mark_has_full_blocks))
        STORE_ONCE(mark_has_full_blocks, true);
}
void mark_addr_block(uintptr_t addr); /* the block that contains addr, if any, as if a root held addr */
/* what the block holds, but not the block itself. pre: start of a block handed out */
void mark_block_content(uintptr_t obj);

/* ---- output ---- */
/* pre: obj is or was the start of a block; after mark_drain. Free slots are never marked */
bool mark_is_marked(uintptr_t obj);
/* Not marked, and not on probation (heap/probation.h): this cycle takes it, unless it is marked yet. */
bool mark_is_dead(uintptr_t obj);

struct mark_stats {
    uint64_t n_scanned_bytes; /* of blocks */
    uint32_t n_overflows;     /* times the stack was full and the heap was walked again */
    uint32_t n_faults;        /* pieces that had to be read through the kernel */
    uint32_t n_helpers;       /* that came in to help */
    size_t stack_peak_bytes;
};
extern struct mark_stats mark_stats; /* last or current cycle */

/* check=1: marks again in the plainest way and compares. rescan_roots gives all roots again. Marks are
 * unchanged after it. check_failed where the two disagree twice. pre: mark_drain returned true; before
 * finalizers and weak links. */
bool mark_check(bool (*rescan_roots)(void *ctx), void *ctx);

/* Tests: entries of the stack of the next cycle; 0: as many as pay. */
void mark_set_stack_limit(size_t n_entries);

#endif
