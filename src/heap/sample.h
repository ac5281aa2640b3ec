/* Which allocations are looked at: none, every one, or about one in so many bytes.
 *
 * What    With sampling off nothing here is reached, and no fast path asks. With it on, a bin whose next sample lies in its
 *         window is *veiled*: its word is the empty one, so that malloc takes the slow path, which hands out slots of the
 *         hidden window one by one. A window that holds no sample is open, and as fast as ever; its bytes are counted when
 *         it opens. Slots of an open window that are freed and taken again escape that count: every so many frees, the
 *         one that is just being done stands for all since the last (sample_tick).
 *         A span with a sampled block has SPAN_SAMPLED, so that its frees take the slow path.
 * Locks   owner of the cache, in a critical section, unless said otherwise.
 */
#ifndef HEAP_SAMPLE_H
#define HEAP_SAMPLE_H

#include "heap/tcache.h"

/* Fast frees between two calls of sample_tick: a prime, so that it keeps no step with words of 64 slots. */
enum { SAMPLE_TICK_FREES = 509 };

/* Mean bytes from one sample to the next: 0 none, 1 every block. Any thread. Other threads' open windows, at most 64 blocks
 * of a size each, stay open until they are used up. */
void sample_set_rate(uint64_t rate_bytes);
extern uint64_t sample_rate_bytes; /* through sample_rate */
ALWAYS_INLINE uint64_t sample_rate(void)
{
    return LOAD_ONCE(sample_rate_bytes);
}
void sample_veil_all(struct tcache *tc); /* sampling begins: what this thread's windows hold is counted from now on */

/* For tcache.c and free.c. */
/* A new window with so many bytes; it may be veiled at once. pre: sample_rate() is rate, and not 0 */
void sample_opened_near(struct tcache *tc, struct tcache_bin *bin, size_t bytes);
ALWAYS_INLINE void sample_opened(struct tcache *tc, struct tcache_bin *bin, uint64_t rate, size_t bytes)
{
    if (UNLIKELY(tc->sample_rate != rate || tc->sample_left <= (int64_t)bytes))
        sample_opened_near(tc, bin, bytes);
    else
        tc->sample_left -= (int64_t)bytes;
}
void *sample_pop(struct tcache *tc, struct tcache_bin *bin);      /* from a veiled bin; NULL: its word is empty */
void sample_tick(struct tcache *tc, struct span *s, uint32_t idx); /* block idx is being freed */

ALWAYS_INLINE uint64_t *sample_hidden_word(const struct tcache_bin *bin)
{
    return &bin->span->words[bin->span->cursor].free;
}

/* As malloc's fast path leaves a block: what is left in it would keep what leaked. */
ALWAYS_INLINE void *sample_block(const struct tcache_bin *bin, uint64_t free_bits)
{
    uint64_t *block = (uint64_t *)(bin->base + (uintptr_t)bits_ctz64(free_bits) * bin->size);
    uint64_t *end = (uint64_t *)((char *)block + bin->size);

    end[-1] = 0;
    end[-2] = 0;
    return block;
}

/* As sample_pop, where the block that comes next is no sample and stands for none: all that most allocations from a veiled bin
 * need. NULL: the long way. In a critical section, or in the section of fast paths. */
ALWAYS_INLINE void *sample_pop_undue(struct tcache *tc, struct tcache_bin *bin)
{
    uint64_t *word, free_bits;

    if (!bin->is_veiled || bin->n_due != 0 || tc->sample_left <= (int64_t)bin->size)
        return NULL;
    word = sample_hidden_word(bin);
    free_bits = *word;
    if (free_bits == 0)
        return NULL;
    STORE_ONCE(*word, free_bits & (free_bits - 1));
    tc->sample_left -= (int64_t)bin->size;
    return sample_block(bin, free_bits);
}

/* Samples that the block which tcache_pop just returned stands for; 0: it is none. */
uint32_t sample_take_due(struct tcache *tc);
uint32_t sample_large(struct tcache *tc, size_t size_bytes); /* the same for a block that no bin served */

void sample_flag_set(uintptr_t start); /* the block's span is marked. Any thread that holds the block */
bool sample_is_flagged(uintptr_t addr); /* any thread */

#endif
