/* Content of free slices goes back to the kernel, the old generation first. The protocol is in arena.c. */
#include "heap/arena.h"
#include "heap/arena_int.h"

enum {
    HUGE_SLICES = 32,      /* slices in a huge page */
    HUGE_KEEP_SLICES = 16, /* in use: fewer do not pay for the rest of a huge page */
    HUGE_SPLIT_MAX = 1024, /* that lose the advice: each may split a mapping in three, and collections read the list of them */
};

void arena_age(void)
{
    os_lock(&arena.lock);
    for (size_t w = 0; w * WORD_SLICES < arena.n_slices; w++) {
        STORE_ONCE(arena.words[w].old, arena.words[w].old | arena.words[w].recent);
        STORE_ONCE(arena.words[w].recent, 0);
    }
    os_unlock(&arena.lock);
}

static uint64_t arena_huge_mask(unsigned half)
{
    return bits_low_mask(HUGE_SLICES) << (half * HUGE_SLICES);
}

static uint64_t arena_huge_mask_of(size_t slice)
{
    return arena_huge_mask((slice % WORD_SLICES) / HUGE_SLICES);
}

/* What is left of the bits of a huge page that was split. */
static uint64_t arena_split_mark(uint64_t huge)
{
    return huge & -huge;
}

static bool arena_is_whole(size_t w, uint64_t huge)
{
    return (LOAD_ONCE(arena.words[w].huge) & huge) == huge;
}

/* One returned page splits a huge page. It is kept whole while half of it is in use. */
static bool arena_keeps_huge(size_t w, uint64_t huge)
{
    return arena_is_whole(w, huge) && bits_popcount64(LOAD_ONCE(arena.words[w].used) & huge) >= HUGE_KEEP_SLICES;
}

bool arena_is_huge(uintptr_t addr)
{
    size_t slice = (addr - window.arena) >> SLICE_SHIFT;
    return arena_keeps_huge(slice / WORD_SLICES, arena_huge_mask_of(slice));
}

/* Advice follows the bits: what is advised and has one page left is made whole again by the kernel's own thread, within
 * a minute, with all that was given back. */
static void arena_advise(size_t w, uint64_t huge, bool on)
{
    os_vm_hugepages((void *)arena_addr(w * WORD_SLICES + bits_ctz64(huge)), (size_t)HUGE_SLICES << SLICE_SHIFT, on);
}

/* Whether the advice has to go. */
static bool arena_split_locked(size_t w, uint64_t huge)
{
    if (!arena_is_whole(w, huge))
        return false;
    STORE_ONCE(arena.words[w].huge, (arena.words[w].huge & ~huge) | arena_split_mark(huge));
    return arena.n_split++ < HUGE_SPLIT_MAX;
}

void arena_split_huge(uintptr_t addr)
{
    size_t slice = (addr - window.arena) >> SLICE_SHIFT, w = slice / WORD_SLICES;
    uint64_t huge = arena_huge_mask_of(slice);
    if (!arena_is_whole(w, huge))
        return;
    os_lock(&arena.lock);
    bool is_split = arena_split_locked(w, huge);
    os_unlock(&arena.lock);
    if (is_split)
        arena_advise(w, huge, false);
}

void arena_moved(uintptr_t from, uintptr_t to, uint32_t n_slices)
{
    size_t source = (from - window.arena) >> SLICE_SHIFT, slice = (to - window.arena) >> SLICE_SHIFT, end = slice + n_slices;
    os_lock(&arena.lock);
    for (; slice < end; slice++, source++) {
        struct arena_word *a = &arena.words[slice / WORD_SLICES];
        uint64_t bit = UINT64_C(1) << (slice % WORD_SLICES);
        bool is_advised = arena_is_whole(source / WORD_SLICES, arena_huge_mask_of(source));
        STORE_ONCE(a->huge, is_advised ? a->huge | bit : a->huge & ~bit);
    }
    os_unlock(&arena.lock);
}

void arena_renew_advice(uintptr_t addr, uint32_t n_slices)
{
    size_t first = (addr - window.arena) >> SLICE_SHIFT, end = first + n_slices;
    for (size_t slice = first; slice <= end; slice++) {
        if (slice < end && arena_is_whole(slice / WORD_SLICES, arena_huge_mask_of(slice)))
            continue;
        if (slice > first)
            os_vm_hugepages((void *)arena_addr(first), (slice - first) << SLICE_SHIFT, true);
        first = slice + 1;
    }
}

/* What of half a word may go. Of a huge page that is free all over, all at once. */
static uint64_t arena_purgeable_half(size_t w, uint64_t huge, bool also_recent)
{
    const struct arena_word *a = &arena.words[w];
    uint64_t old = a->old & huge, recent = a->recent & huge;
    if (also_recent)
        old |= recent;
    if (arena_keeps_huge(w, huge) || (arena_is_whole(w, huge) && (a->used & huge) == 0 && (recent & ~old) != 0))
        return 0;
    return old;
}

/* What of word w may go, and the huge pages that are split by that. */
static uint64_t arena_claim(size_t w, bool also_recent, uint64_t *split)
{
    struct arena_word *a = &arena.words[w];
    uint64_t claimed = 0;
    os_lock(&arena.lock);
    for (unsigned half = 0; half < WORD_SLICES / HUGE_SLICES; half++) {
        uint64_t huge = arena_huge_mask(half), m = arena_purgeable_half(w, huge, also_recent);
        if (m != 0 && (a->used & huge) != 0 && arena_split_locked(w, huge))
            *split |= huge;
        claimed |= m;
    }
    STORE_ONCE(a->used, a->used | claimed);
    STORE_ONCE(a->old, a->old & ~claimed);
    STORE_ONCE(a->recent, a->recent & ~claimed);
    arena.n_claimed += bits_popcount64(claimed);
    os_unlock(&arena.lock);
    return claimed;
}

/* A huge page that was split, is free all over and has no content becomes one again, unless they are dear just now. */
static uint64_t arena_rejoin_locked(size_t w)
{
    struct arena_word *a = &arena.words[w];
    uint64_t joined = 0;
    if (arena_is_huge_dear(arena.n_slices))
        return 0;
    for (unsigned half = 0; half < WORD_SLICES / HUGE_SLICES; half++) {
        uint64_t huge = arena_huge_mask(half);
        bool is_committed = w * WORD_SLICES + (half + 1) * HUGE_SLICES <= arena.n_slices;
        if ((a->huge & huge) == arena_split_mark(huge) && is_committed && ((a->used | a->old | a->recent) & huge) == 0)
            joined |= huge;
    }
    STORE_ONCE(a->huge, a->huge | joined);
    uint32_t n_joined = bits_popcount64(joined) / HUGE_SLICES; /* one may be where growth ended, and never was whole */
    arena.n_split -= n_joined < arena.n_split ? n_joined : arena.n_split;
    return joined;
}

static uint64_t arena_unclaim(size_t w, uint64_t claimed)
{
    os_lock(&arena.lock);
    STORE_ONCE(arena.words[w].used, arena.words[w].used & ~claimed);
    if (claimed != 0 && w < arena.first_free_word)
        arena.first_free_word = w;
    arena.n_claimed -= bits_popcount64(claimed);
    uint64_t joined = claimed != 0 ? arena_rejoin_locked(w) : 0;
    os_unlock(&arena.lock);
    return joined;
}

static void arena_advise_halves(size_t w, uint64_t halves, bool on)
{
    for (unsigned half = 0; half < WORD_SLICES / HUGE_SLICES; half++)
        if ((halves & arena_huge_mask(half)) != 0)
            arena_advise(w, arena_huge_mask(half), on);
}

/* Claim the purgeable slices of word w, purge them without the lock, return them clean. */
static size_t arena_purge_word(size_t w, bool also_recent)
{
    uint64_t split = 0, claimed = arena_claim(w, also_recent, &split);
    arena_advise_halves(w, split, false);
    for (uint64_t left = claimed; left != 0;) {
        unsigned lo = bits_ctz64(left);
        unsigned n = ~(left >> lo) == 0 ? 64 - lo : bits_ctz64(~(left >> lo));
        os_vm_purge((void *)arena_addr(w * WORD_SLICES + lo), (size_t)n << SLICE_SHIFT);
        left &= ~(bits_low_mask(n) << lo);
    }
    arena_advise_halves(w, arena_unclaim(w, claimed), true);
    return (size_t)bits_popcount64(claimed) << SLICE_SHIFT;
}

/* Behind a filter the kernel takes nothing back, and zeroing by hand would make pages resident. */
size_t arena_purge(bool also_recent)
{
    size_t bytes = 0;
    if (os_seccomp_is_on())
        return 0;
    for (size_t w = 0; w * WORD_SLICES < LOAD_ONCE(arena.n_slices); w++) {
        struct arena_word *a = &arena.words[w];
        if ((LOAD_ONCE(a->old) | (also_recent ? LOAD_ONCE(a->recent) : 0)) != 0)
            bytes += arena_purge_word(w, also_recent);
    }
    return bytes;
}
