/* Pages of a span in use that no block needs go back to the kernel; see span.h.
 *
 * What    finds the runs of free slots of a span and gives up the pages that lie wholly in them.
 * Invariants  owner, or the lock of an orphan's class: the slots stay free meanwhile. A slot that the collector took keeps
 *         its bytes, for a program that still uses it.
 * Not here  when: tcache.c, central.c. Whole free spans: arena_purge.c.
 */
#include "base/counters.h"
#include "heap/arena.h"
#include "heap/span.h"
#include "os/os.h"

enum {
    TRIM_DORMANT_LOOKS = 2,
    TRIM_DORMANT_SHARE = 4,
    TRIM_HUGE_SHARE = 4, /* of a huge page must be won */
    TRIM_HUGE_BYTES = 2 << 20,
};

static uint64_t trim_free_bits(struct span *s, uint32_t w)
{
    uint64_t taken = (span_flags(s) & SPAN_TAKEN) != 0 ? span_cold(s)[w].taken : 0;
    return s->words[w].free & ~taken;
}

/* First slot from idx on that is free (want_free), or not; n_blocks where there is none. */
static uint32_t trim_next(struct span *s, uint32_t idx, bool want_free)
{
    while (idx < s->n_blocks) {
        uint64_t bits = trim_free_bits(s, idx >> 6);
        uint64_t found = (want_free ? bits : ~bits) >> (idx & 63);
        if (found != 0) {
            idx += bits_ctz64(found);
            return idx < s->n_blocks ? idx : s->n_blocks;
        }
        idx = (idx | 63) + 1;
    }
    return s->n_blocks;
}

/* Slots [lo, hi) are free; behind the last slot of the span there is nothing to keep. */
static void trim_run(struct span *s, uint32_t lo, uint32_t hi, struct os_vm_drops *drops)
{
    uintptr_t span_end = s->start + ((uintptr_t)s->n_slices << SLICE_SHIFT);
    uintptr_t first = bits_round_up(span_block(s, lo), os_page_size());
    uintptr_t end = bits_round_down(hi == s->n_blocks ? span_end : span_block(s, hi), os_page_size());
    if (first < end)
        os_vm_drop_soon(drops, first, end - first);
}

size_t span_bytes_between(uintptr_t lo, uintptr_t hi, size_t more_each)
{
    size_t bytes = 0;
    for (uintptr_t at = lo; at < hi; at += SLICE_SIZE) {
        struct span *s = span_of_ref(LOAD_ONCE(slice_of(at)->span));
        size_t n_used = s->n_blocks - span_free_count(s), n_slices = s->n_slices; /* none of the nil span's */
        if (n_slices != 0 && n_used <= s->n_blocks)
            bytes += n_used * (s->size_bytes + more_each) / n_slices;
    }
    return bytes;
}

/* One page that goes back splits the huge page that it is in. It is kept whole unless a quarter of it is won: a block lies in no
 * more pages than it fills and one. */
static bool trim_keeps_huge(struct span *s)
{
    uintptr_t first = bits_round_down(s->start, TRIM_HUGE_BYTES), end = s->start + ((uintptr_t)s->n_slices << SLICE_SHIFT);
    for (uintptr_t lo = first; lo < end; lo += TRIM_HUGE_BYTES)
        if (arena_is_huge(lo) &&
            span_bytes_between(lo, lo + TRIM_HUGE_BYTES, os_page_size()) > TRIM_HUGE_BYTES - TRIM_HUGE_BYTES / TRIM_HUGE_SHARE)
            return true;
    for (uintptr_t lo = first; lo < end; lo += TRIM_HUGE_BYTES)
        arena_split_huge(lo);
    return false;
}

size_t span_trim_rest(struct os_vm_drops *drops)
{
    os_vm_drop_rest(drops);
    counter_add(COUNTER_BYTES_PURGED, drops->n_bytes);
    return drops->n_bytes;
}

void span_trim(struct span *s, struct os_vm_drops *drops)
{
    if (os_seccomp_is_on() || trim_keeps_huge(s))
        return;
    for (uint32_t lo = trim_next(s, 0, true), hi; lo < s->n_blocks; lo = trim_next(s, hi, true)) {
        hi = trim_next(s, lo, false);
        trim_run(s, lo, hi, drops);
    }
}

void span_look_idle(struct span *s, struct os_vm_drops *drops)
{
    s->n_idle_looks++;
    if (s->n_idle_looks > 1 && bits_is_pow2(s->n_idle_looks))
        span_trim(s, drops);
}

void span_look_dormant(struct span *s, struct os_vm_drops *drops)
{
    uint32_t n_used = s->n_blocks - span_free_count(s), n_before = s->n_used_trimmed;
    if (n_before == 0 || n_used + (n_before + TRIM_DORMANT_SHARE - 1) / TRIM_DORMANT_SHARE > n_before)
        return; /* of an empty one nothing was left */
    s->n_used_trimmed = (uint16_t)n_used;
    span_trim(s, drops);
}

/* A slot that was free and is not any more, or another window: only frees leave neither. A block that was handed out and freed between
 * two looks is not seen, but then its page is there again after the next one. */
bool span_is_dormant(struct span *s)
{
    uint64_t bits = s->words[s->cursor].free;
    bool is_used = s->cursor != s->looked_cursor || (s->looked_bits & ~bits) != 0;
    if (is_used)
        span_note_use(s);
    else
        s->n_idle_looks++;
    s->looked_cursor = (uint16_t)s->cursor;
    s->looked_bits = bits;
    return s->n_idle_looks >= TRIM_DORMANT_LOOKS;
}
