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
void sample_opened(struct tcache *tc, struct tcache_bin *bin);    /* a new window; it may be veiled at once */
void *sample_pop(struct tcache *tc, struct tcache_bin *bin);      /* from a veiled bin; NULL: its word is empty */
void sample_tick(struct tcache *tc, struct span *s, uint32_t idx); /* block idx is being freed */

/* Samples that the block which tcache_pop just returned stands for; 0: it is none. */
uint32_t sample_take_due(struct tcache *tc);
uint32_t sample_large(struct tcache *tc, size_t size_bytes); /* the same for a block that no bin served */

void sample_flag_set(uintptr_t start); /* the block's span is marked. Any thread that holds the block */
bool sample_is_flagged(uintptr_t addr); /* any thread */

#endif
