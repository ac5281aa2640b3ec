/* Which words of a range may be addresses of the arena.
 *
 * What    copies the words whose low 47 bits lie in [base, base + n_bytes) to an array; all reads of memory
 *         that might be unreadable happen here and nowhere else in the marker. setjmp stores one register (x86-64: rbp)
 *         rotated and xor-ed with a guard; ranges that are long enough for a jmp_buf are searched for such words, too,
 *         and what they hide is copied.
 * Invariants  each word is read once; nothing but `out` is written, so a fault in here leaves the marker
 *         whole.
 */
#ifndef GC_MARK_FILTER_H
#define GC_MARK_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/bits.h"

enum {
    MARK_ADDRESS_BITS = 47,
    MARK_BOX_SHIFT = 52,
    MARK_CHUNK_BYTES = 4096,
    MARK_CHUNK_WORDS = MARK_CHUNK_BYTES / 8
};
#define MARK_ADDRESS_MASK ((UINT64_C(1) << MARK_ADDRESS_BITS) - 1)

struct mark_bounds {
    uintptr_t base;
    size_t n_bytes;
    uint64_t guard; /* os_pointer_guard(); 0: nothing is hidden by setjmp */
};

/* A word that passed the filter: with bit 47 set it is an address only in a NaN box. */
ALWAYS_INLINE bool mark_word_is_plausible(uint64_t word)
{
    return ((word >> MARK_ADDRESS_BITS) & 1) == 0 || word >> MARK_BOX_SHIFT == 0xfff;
}

/* How setjmp hides a register: rotated left by as much, after the guard was xor-ed in. */
enum { MARK_GUARD_ROTATION = 17 };
ALWAYS_INLINE uint64_t mark_word_unhidden(uint64_t guard, uint64_t word)
{
    return ((word >> MARK_GUARD_ROTATION) | (word << (64 - MARK_GUARD_ROTATION))) ^ guard;
}
/* Words that were found hidden since mark_begin: a second marker that does not look for them finds less. Atomic. */
extern uint32_t mark_filter_n_hidden;

/* out has room for n_words + 1. Returns how many passed; order is kept. pre: lo is a multiple of 8. */
uint32_t mark_filter(struct mark_bounds b, uintptr_t lo, size_t n_words, uint64_t *out);
/* The same for a block that may hold packed structures (struct epoll_event): also words that begin in the middle of one
 * and end in the next, if they are addresses as they stand, without tags. Order is not kept; out has room for
 * 2 * n_words + 1. */
uint32_t mark_filter_packed(struct mark_bounds b, uintptr_t lo, size_t n_words, uint64_t *out);
/* For words at each multiple of 4 from lo on, tagged or not. pre: lo is a multiple of 4; n_words words begin in
 * the range. */
uint32_t mark_filter_unaligned(struct mark_bounds b, uintptr_t lo, size_t n_words, uint64_t *out);

#endif
