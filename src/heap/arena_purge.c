/* Content of free slices goes back to the kernel, the old generation first. The protocol is in arena.c. */
#include "heap/arena.h"
#include "heap/arena_int.h"

enum {
    HUGE_SLICES = 32,      /* slices in a huge page */
    HUGE_KEEP_SLICES = 16, /* in use: fewer do not pay for the rest of a huge page */
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

/* One returned page splits a huge page. It is kept whole while half of it is in use. */
static bool arena_keeps_huge(size_t w, uint64_t huge)
{
    return (arena.words[w].huge & huge) == huge &&
           bits_popcount64(LOAD_ONCE(arena.words[w].used) & huge) >= HUGE_KEEP_SLICES;
}

static uint64_t arena_huge_mask(unsigned half)
{
    return bits_low_mask(HUGE_SLICES) << (half * HUGE_SLICES);
}

bool arena_is_huge(uintptr_t addr)
{
    size_t slice = (addr - window.arena) >> SLICE_SHIFT;
    return arena_keeps_huge(slice / WORD_SLICES, arena_huge_mask((slice % WORD_SLICES) / HUGE_SLICES));
}

void arena_split_huge(uintptr_t addr)
{
    size_t slice = (addr - window.arena) >> SLICE_SHIFT;
    struct arena_word *a = &arena.words[slice / WORD_SLICES];
    os_lock(&arena.lock);
    STORE_ONCE(a->huge, a->huge & ~arena_huge_mask((slice % WORD_SLICES) / HUGE_SLICES));
    os_unlock(&arena.lock);
}

/* What of word w may go. */
static uint64_t arena_purgeable(size_t w, bool also_recent)
{
    struct arena_word *a = &arena.words[w];
    uint64_t m = also_recent ? a->old | a->recent : a->old;
    for (unsigned half = 0; half < WORD_SLICES / HUGE_SLICES; half++)
        if (arena_keeps_huge(w, arena_huge_mask(half)))
            m &= ~arena_huge_mask(half);
    return m;
}

static uint64_t arena_claim(size_t w, bool also_recent)
{
    struct arena_word *a = &arena.words[w];
    os_lock(&arena.lock);
    uint64_t claimed = arena_purgeable(w, also_recent);
    STORE_ONCE(a->used, a->used | claimed);
    STORE_ONCE(a->old, a->old & ~claimed);
    STORE_ONCE(a->recent, a->recent & ~claimed);
    arena.n_claimed += bits_popcount64(claimed);
    os_unlock(&arena.lock);
    return claimed;
}

static void arena_unclaim(size_t w, uint64_t claimed)
{
    os_lock(&arena.lock);
    STORE_ONCE(arena.words[w].used, arena.words[w].used & ~claimed);
    if (claimed != 0 && w < arena.first_free_word)
        arena.first_free_word = w;
    arena.n_claimed -= bits_popcount64(claimed);
    os_unlock(&arena.lock);
}

/* Claim the purgeable slices of word w, purge them without the lock, return them clean. */
static size_t arena_purge_word(size_t w, bool also_recent)
{
    uint64_t claimed = arena_claim(w, also_recent);
    for (uint64_t left = claimed; left != 0;) {
        unsigned lo = bits_ctz64(left);
        unsigned n = ~(left >> lo) == 0 ? 64 - lo : bits_ctz64(~(left >> lo));
        os_vm_purge((void *)arena_addr(w * WORD_SLICES + lo), (size_t)n << SLICE_SHIFT);
        left &= ~(bits_low_mask(n) << lo);
    }
    arena_unclaim(w, claimed);
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
