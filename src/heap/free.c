/* Every free that the fast path does not do; see heap.h and the flags in span.h.
 *
 * The questions, in order: ours? a block, by its exact start? still handed out? and then who may clear it: the owner
 * does, anybody else leaves a message.
 */
#include "base/counters.h"
#include "heap/central.h"
#include "heap/heap.h"
#include "heap/inbox_inl.h"
#include "heap/layout.h"
#include "heap/meta.h"
#include "heap/probation.h"
#include "heap/quarantine.h"
#include "heap/sample.h"
#include "heap/stash.h"
#include "os/os.h"

static enum heap_free_result free_misuse(const char *what, uintptr_t addr)
{
    if (!slice_is_doubtful(addr))
        check_misuse(what, addr);
    return HEAP_FREED_TAKEN;
}

/* The program held it by a pointer that we cannot see. */
static enum heap_free_result free_taken(const struct span *s)
{
    probation_pin(s);
    return HEAP_FREED_TAKEN;
}

/* The slice has no span any more: what was it? */
static enum heap_free_result free_in_tomb(const struct slice *e, uintptr_t addr)
{
    uintptr_t in_span = ((addr - heap_map.arena_base) & (SLICE_SIZE - 1)) + ((uintptr_t)e->slice_no << SLICE_SHIFT);
    bool is_start = e->recip == 0 ? in_span == 0 : slice_is_block_start(e, in_span);
    bool is_part = slice_block_size(e) == LAYOUT_TINY_BLOCK && addr % LAYOUT_PART == 0; /* of a block, maybe */
    if ((is_start || is_part) && slice_is_taken(e)) {
        probation_pin_tomb(addr);
        return HEAP_FREED_TAKEN;
    }
    return free_misuse(is_start && e->flavor == TOMB_FREED ? MISUSE_DOUBLE_FREE : MISUSE_INVALID_FREE, addr);
}

/* A program of large blocks only has no other clock. */
static void free_tick_large(void)
{
    struct tcache *tc = tcache_self;
    uint64_t now_ns = os_clock_coarse_ns();
    if (tc->stash.n_slices != 0 && now_ns >= tc->next_decay_ns)
        tcache_tick(tc);
    heap_decay(now_ns);
}

static enum heap_free_result free_large_held(struct span *s, enum heap_free_how how)
{
    bool was_suspect = probation_use(s, 0);
    if (span_is_free(s, 0) || !quarantine_hold(s, 0, how == HEAP_FREE_MOVED))
        check_misuse(MISUSE_DOUBLE_FREE, s->start);
    free_tick_large();
    return was_suspect ? HEAP_FREED_SUSPECT : HEAP_FREED;
}

/* Anybody may free a large block; the one atomic OR decides who did. */
static enum heap_free_result free_large(struct span *s, uintptr_t addr, enum heap_free_how how)
{
    if (addr != s->start)
        return free_misuse(MISUSE_INVALID_FREE, addr);
    if (span_is_dead(s, 0))
        return free_taken(s);
    if (UNLIKELY(span_is_held(s, 0)))
        check_misuse(MISUSE_DOUBLE_FREE, addr);
    if (UNLIKELY(how != HEAP_FREE_NOW))
        return free_large_held(s, how);
    if ((__atomic_fetch_or(&s->words[0].free, 1, __ATOMIC_ACQ_REL) & 1) != 0)
        check_misuse(MISUSE_DOUBLE_FREE, addr);
    bool was_suspect = probation_use(s, 0);
    if (!stash_keep(s))
        heap_large_free(s, TOMB_FREED);
    free_tick_large();
    return was_suspect ? HEAP_FREED_SUSPECT : HEAP_FREED;
}

/* The slot is free already: taken by the collector, or a second free. */
static enum heap_free_result free_of_free(struct span *s, uint32_t idx)
{
    if (!span_drop_taken(s, idx))
        return free_misuse(MISUSE_DOUBLE_FREE, span_block(s, idx));
    return free_taken(s);
}

/* A block that is handed out goes back to its slot. */
static void free_set_bit(struct span *s, uint32_t idx, struct tcache *tc)
{
    struct span_word *word = &s->words[idx >> 6];
    uint32_t flags = span_flags(s);
    if ((flags & SPAN_TAKEN) != 0)
        span_drop_taken(s, idx); /* left from before the slot was handed out again */
    if ((flags & SPAN_REMOTE) != 0)
        span_end_quiet(s); /* announced, and not yet in the inbox */
    span_set_free(word, word->free | UINT64_C(1) << (idx & 63));
    if ((flags & SPAN_FULL) != 0)
        tcache_reopen(s);
    else if (flags == 0)
        span_own(s, tc, &tc->inbox); /* slow for no reason: see span_refresh_fast_owner */
}

/* false: it was freed before, and is held. */
static bool free_live(struct span *s, uint32_t idx, struct tcache *tc, enum heap_free_how how)
{
    if (UNLIKELY(span_is_held(s, idx)))
        return false;
    if (UNLIKELY(how != HEAP_FREE_NOW))
        return quarantine_hold(s, idx, how == HEAP_FREE_MOVED);
    free_set_bit(s, idx, tc);
    return true;
}

static enum heap_free_result free_owned(struct span *s, uint32_t idx, struct tcache *tc, enum heap_free_how how)
{
    enum heap_free_result result;
    uint32_t flags = span_flags(s);
    tc->ticks -= flags != 0; /* else the fast path has counted it */
    if ((flags & SPAN_REMOTE) != 0)
        tcache_drain_inbox(tc);
    if ((flags & SPAN_UNSWEPT) != 0)
        span_sweep(s);
    if (span_is_free(s, idx)) {
        result = free_of_free(s, idx);
    } else {
        result = probation_use(s, idx) ? HEAP_FREED_SUSPECT : HEAP_FREED;
        if (UNLIKELY(!free_live(s, idx, tc, how)))
            result = free_misuse(MISUSE_DOUBLE_FREE, span_block(s, idx));
    }
    if (tc->ticks < 0 && UNLIKELY(sample_rate() != 0))
        sample_tick(tc, s, idx);
    if (tc->ticks < 0)
        tcache_tick(tc); /* last: it may end the span */
    return result;
}

/* The owner's plain words are read, never written. A block that was handed to this thread was handed out before, so its
 * free bit is seen clear unless somebody freed it, or the collector took it: then `taken` was set first. If the bit is
 * clear at the second look, the owner has handed the slot out in between: it had been free, which for a slot that was
 * freed twice would be a race of the program with itself, and is no proof of it. */
static bool free_is_taken(const struct span *s, uint32_t idx)
{
    uint64_t taken = __atomic_load_n(&span_cold((struct span *)s)[idx >> 6].taken, __ATOMIC_ACQUIRE);
    return ((taken >> (idx & 63)) & 1) != 0 || !span_is_free(s, idx);
}

/* Parts share a block, which only the collector frees, when no part is reachable. */
static enum heap_free_result free_part(struct span *s, const struct slice *e, uintptr_t addr)
{
    uint32_t idx = slice_block_idx(e, (uint32_t)(addr - s->start));
    if (idx >= s->n_blocks)
        return free_misuse(MISUSE_INVALID_FREE, addr);
    uint64_t gone = s->words[idx >> 6].free | span_cold(s)[idx >> 6].dead;
    if (((gone >> (idx & 63)) & 1) != 0)
        return free_taken(s);
    if (!layout_is_part(s, addr))
        return free_misuse(MISUSE_INVALID_FREE, addr);
    return probation_use(s, idx) ? HEAP_FREED_SUSPECT : HEAP_FREED;
}

/* A block that was found unreachable is no longer ours to hold. */
static bool free_elsewhere(struct span *s, uint32_t idx, uint64_t flags_before, enum heap_free_how how)
{
    if (UNLIKELY(span_is_held(s, idx)))
        return false;
    if (UNLIKELY(how != HEAP_FREE_NOW) && !span_is_dead(s, idx))
        return quarantine_hold(s, idx, how == HEAP_FREE_MOVED);
    return inbox_write(s, idx, flags_before);
}

/* flags_before was read while e still named the span. */
static enum heap_free_result free_remote(struct span *s, uint32_t idx, uintptr_t addr, uint64_t flags_before,
                                         enum heap_free_how how)
{
    if (span_is_free(s, idx)) {
        if (free_is_taken(s, idx))
            return free_taken(s);
        if (LOAD_ONCE(slice_of(addr)->span) != meta_ref(s))
            return heap_free_as((void *)addr, how); /* the span ended while we looked: its tomb knows */
        return free_misuse(MISUSE_DOUBLE_FREE, addr);
    }
    if (tcache_self != &tcache_none)
        inbox_begin_to_see(tcache_self);
    bool is_unseen = probation_use_elsewhere(s, idx); /* with the message the block is gone, and maybe its span */
    if (!free_elsewhere(s, idx, flags_before, how))
        return free_misuse(MISUSE_DOUBLE_FREE, addr);
    return is_unseen ? HEAP_FREED_SUSPECT : HEAP_FREED;
}

enum heap_free_result heap_free_as(void *p, enum heap_free_how how)
{
    uintptr_t addr = (uintptr_t)p;
    if (!heap_contains(addr))
        return HEAP_FREE_FOREIGN;
    const struct slice *e = slice_of(addr);
    uint32_t ref = LOAD_ONCE(e->span);
    struct span *s = span_of_ref(ref);
    uint64_t flags_before = atomic_load(&s->flags);
    if (ref == 0)
        return free_in_tomb(e, addr);
    if (LOAD_ONCE(e->span) != ref)
        return heap_free_as(p, how); /* it ended just now: not a live block's, so there is something to tell */
    if (UNLIKELY((flags_before & SPAN_HOLDS) == 0))
        how = HEAP_FREE_NOW;
    if (span_is_large(s))
        return free_large(s, addr, how);
    if (s->flavor == FLAVOR_GC_TINY)
        return free_part(s, e, addr);
    uint32_t offset = (uint32_t)(addr - s->start), idx = slice_block_idx(e, offset);
    if (!slice_is_block_start(e, offset) || idx >= s->n_blocks)
        return free_misuse(MISUSE_INVALID_FREE, addr);
    struct tcache *tc = tcache_self;
    if (tc != &tcache_none && atomic_load_explicit(&s->owner, memory_order_relaxed) == tc)
        return free_owned(s, idx, tc, how);
    return free_remote(s, idx, addr, flags_before, how);
}
