/* How a bin goes on to another word of its span, inlined into malloc's fast path.
 *
 * What    the common case of tcache_step: nothing is due, nobody watches. A few dozen instructions, none of them atomic.
 * Locks   as tcache.h, or the section of fast paths, where no stop and none of the program's handlers comes between.
 * Not here  what else may be due then: tcache.c.
 */
#ifndef HEAP_TCACHE_INL_H
#define HEAP_TCACHE_INL_H

#include "heap/sample.h"
#include "heap/tcache.h"

enum { TCACHE_TICK_REFILLS = 64, TCACHE_ACCOUNT_BYTES = 64 * 1024 };

/* Its span has no flag, and this refill is none that has to look further. */
ALWAYS_INLINE bool tcache_may_step(const struct tcache *tc, const struct tcache_bin *bin)
{
    const struct span *s = bin->span;
    return s != NULL && s->fast_owner == tc && !bin->is_veiled && (tc->n_refills + 1) % TCACHE_TICK_REFILLS != 0;
}

/* The next word with a free slot, from the cursor on and around; n_words: the span is full. */
ALWAYS_INLINE uint32_t tcache_find_word(const struct span *s)
{
    uint32_t w = s->cursor;
    do {
        if (s->words[w].free != 0)
            return w;
        if (++w == s->n_words)
            w = 0;
    } while (w != s->cursor);
    return s->n_words;
}

/* pre: s is the bin's span, and word w has the free slots free_bits. */
ALWAYS_INLINE void tcache_move_window(struct tcache_bin *bin, struct span *s, uint32_t w, uint64_t free_bits)
{
    STORE_ONCE(bin->word, &tcache_no_word); /* malloc in a handler reads word first: none goes with another's base */
    SIGNAL_FENCE();
    s->cursor = w;
    bin->hint = (uint8_t)bits_ctz64(free_bits);
    bin->base = s->start + (size_t)w * 64 * s->size_bytes;
    SIGNAL_FENCE();
    STORE_ONCE(bin->word, &s->words[w].free);
}

ALWAYS_INLINE void tcache_close_window(struct tcache_bin *bin)
{
    STORE_ONCE(bin->word, &tcache_no_word);
    bin->span = NULL;
    bin->is_veiled = false;
}

/* tcache_step in two halves, each few enough variables for the registers of a function without a frame. */

/* The word to go on to. pre: the window is used up. false: tcache_step has to look. */
ALWAYS_INLINE bool tcache_step_find(const struct tcache *tc, const struct tcache_bin *bin, uint32_t *w)
{
    if (!tcache_may_step(tc, bin) || sample_rate() != 0)
        return false;
    *w = tcache_find_word(bin->span);
    return *w != bin->span->n_words;
}

ALWAYS_INLINE bool tcache_step_to(struct tcache_bin *bin, struct span *s, uint32_t w)
{
    size_t used_bytes = bits_popcount64(s->words[w].free) * s->size_bytes;
    SIGNAL_FENCE(); /* what is read again behind it takes no register before */
    struct tcache *tc = atomic_load_explicit(&s->owner, memory_order_relaxed);
    used_bytes += tc->used_delta_bytes;
    if (used_bytes >= TCACHE_ACCOUNT_BYTES)
        return false;
    tc->used_delta_bytes = used_bytes;
    tc->n_refills++;
    tcache_move_window(bin, s, w, s->words[w].free);
    return true;
}

#endif
