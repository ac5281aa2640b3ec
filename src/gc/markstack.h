/* The marker's stack: ranges of memory still to be scanned.
 *
 * What    a LIFO of ranges in SCRATCH_MARK_STACK. A small range is one word:
 *             bits 0..47  address        bits 48..63  length in units of 8 bytes, 1..65535
 *         a big range, or one whose untouched pages must be left out, is two:
 *             on top      address, with length 0
 *             below it    length in bytes << 1 | is_sparse
 * Invariants  base <= top <= end. When there is no room, is_overflowed is set and the range is lost: its
 *         block is marked, so mark.c finds it again by a walk of all marked blocks. Pushing right after
 *         popping a range of the same kind always succeeds: a long range can be taken piece by piece however
 *         small the stack.
 * Locks   none: one marker's own.
 */
#ifndef GC_MARKSTACK_H
#define GC_MARKSTACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/bits.h"
#include "base/compiler.h"

enum {
    MARKSTACK_MIN_ENTRIES = 128, /* all pieces of one sparse range, and some more */
    MARKSTACK_LENGTH_SHIFT = 48,
    MARKSTACK_UNIT = 8,
    MARKSTACK_BIG_ENTRIES = 2,
    /* what a piece of a range shares with the one before it, so that a word across the border is seen */
    MARKSTACK_OVERLAP_BYTES = 16,
    MARKSTACK_LONG_BYTES = 32 * 1024, /* from here on half of a range is work enough to give away */
    MARKSTACK_NARROW_ENTRIES = 4096,
    MARKSTACK_SHIFT_ROOM = 64,
};
#define MARKSTACK_SMALL_MAX_BYTES ((size_t)UINT16_MAX * MARKSTACK_UNIT)

struct markstack {
    uint64_t *top;        /* next free entry */
    uint64_t *base, *end; /* base rises when the oldest entries are given away */
    uint64_t *floor;      /* where base began */
    uint64_t *peak;       /* highest top since markstack_place, as far as markstack_note_peak was called */
    bool is_overflowed;
};

struct mark_range {
    uintptr_t lo;
    size_t n_bytes;
    bool is_sparse; /* pages without content are to be left out */
};

/* Reserves room for n_stacks stacks of n_entries each, or of fewer where memory is short; returns how many
 * entries each has, 0: not even the minimum. Critical section. */
size_t markstack_reserve(size_t n_entries, size_t n_stacks);
/* Puts stack number stack_no in its place. pre: markstack_reserve returned n_entries. */
void markstack_place(struct markstack *s, size_t stack_no, size_t n_entries);
void markstack_release(size_t used_bytes); /* an unusually deep stack's pages go back */

bool markstack_has_long(const struct markstack *s); /* the oldest range is a long one */
/* Moves the older half of the entries, at most max, to out, whole ranges only; of a long range that is the
 * oldest, its second half alone. How many entries. */
size_t markstack_give(struct markstack *s, uint64_t *out, size_t max);
/* Moves about max entries, whole ranges, from the end of an array of n to an empty stack. What is left of
 * n. */
size_t markstack_take(struct markstack *s, const uint64_t *from, size_t n, size_t max);

ALWAYS_INLINE void markstack_reset(struct markstack *s)
{
    s->top = s->base = s->floor;
}

ALWAYS_INLINE bool markstack_is_empty(const struct markstack *s)
{
    return s->top == s->base;
}

/* pre: 0 < n_units <= UINT16_MAX. */
ALWAYS_INLINE void markstack_push_units(struct markstack *s, uintptr_t lo, uint64_t n_units)
{
    if (UNLIKELY(s->top == s->end)) {
        s->is_overflowed = true;
        return;
    }
    *s->top++ = lo | n_units << MARKSTACK_LENGTH_SHIFT;
}

/* pre: n_bytes > 0, a multiple of 8, at most MARKSTACK_SMALL_MAX_BYTES. */
ALWAYS_INLINE void markstack_push_small(struct markstack *s, uintptr_t lo, size_t n_bytes)
{
    markstack_push_units(s, lo, n_bytes / MARKSTACK_UNIT);
}

void markstack_push_big(struct markstack *s, uintptr_t lo, size_t n_bytes, bool is_sparse);
/* Any range of 8-byte words; chooses the form. */
void markstack_push(struct markstack *s, struct mark_range r);

/* Of an entry that is a small range. */
ALWAYS_INLINE uint64_t markstack_entry(uintptr_t lo, size_t n_bytes)
{
    return lo | (uint64_t)(n_bytes / MARKSTACK_UNIT) << MARKSTACK_LENGTH_SHIFT;
}
ALWAYS_INLINE uintptr_t markstack_entry_lo(uint64_t entry)
{
    return entry & bits_low_mask(MARKSTACK_LENGTH_SHIFT);
}
ALWAYS_INLINE size_t markstack_entry_bytes(uint64_t entry)
{
    return (entry >> MARKSTACK_LENGTH_SHIFT) * MARKSTACK_UNIT;
}

/* The range that has this entry on top, which was popped. */
ALWAYS_INLINE struct mark_range markstack_pop_rest(struct markstack *s, uint64_t entry)
{
    struct mark_range r = {markstack_entry_lo(entry), markstack_entry_bytes(entry), false};
    if (UNLIKELY(r.n_bytes == 0)) {
        uint64_t length = *--s->top;
        r.n_bytes = length >> 1;
        r.is_sparse = length & 1;
    }
    return r;
}

/* pre: not empty. */
ALWAYS_INLINE struct mark_range markstack_pop(struct markstack *s)
{
    return markstack_pop_rest(s, *--s->top);
}

/* So few entries that to take the oldest first cannot flood the stack, and room for what comes of it. */
ALWAYS_INLINE bool markstack_may_shift(const struct markstack *s)
{
    return s->top - s->base < MARKSTACK_NARROW_ENTRIES && s->end - s->top >= MARKSTACK_SHIFT_ROOM;
}

/* Entries of the range that has this one at either end: a big range's two have nothing where a small one has
 * its length. */
ALWAYS_INLINE size_t markstack_width(uint64_t entry)
{
    return entry >> MARKSTACK_LENGTH_SHIFT == 0 ? MARKSTACK_BIG_ENTRIES : 1;
}

/* pre: not empty. */
ALWAYS_INLINE struct mark_range markstack_oldest(const struct markstack *s)
{
    uint64_t entry = s->base[0];
    if (markstack_width(entry) == MARKSTACK_BIG_ENTRIES)
        return (struct mark_range){s->base[1], entry >> 1, entry & 1};
    return (struct mark_range){markstack_entry_lo(entry), markstack_entry_bytes(entry), false};
}

/* Takes the oldest. Inline, because a range that comes back through memory, stored by halves and loaded whole, is waited for.
 * pre: not empty. */
ALWAYS_INLINE struct mark_range markstack_shift(struct markstack *s)
{
    struct mark_range r = markstack_oldest(s);
    s->base += markstack_width(s->base[0]);
    return r;
}

/* The room of entries that were shifted can be used again; one copy for each of them. */
ALWAYS_INLINE void markstack_settle(struct markstack *s)
{
    size_t n = (size_t)(s->top - s->base);
    if ((size_t)(s->base - s->floor) <= n)
        return;
    memcpy(s->floor, s->base, n * sizeof(*s->base));
    s->base = s->floor;
    s->top = s->base + n;
}

ALWAYS_INLINE void markstack_note_peak(struct markstack *s)
{
    if (s->top > s->peak)
        s->peak = s->top;
}

#endif
