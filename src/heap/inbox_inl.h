/* The sender's side of inboxes, inlined into the fast path of free: see inbox.c for the protocol.
 *
 * Invariants  bit and announcement belong together: a sender that never came back from between them would leave a bit that
 *         nobody hears of. So this runs in a critical section, or in the section of fast paths, where no stop and none of
 *         the program's handlers comes between.
 * The block's own free bit would tell a second free, but malloc writes that word all the time: each look would fetch the line from the
 * owner's core, and make it wait for it in turn. So a sender remembers what it saw, for as long as the span's period is quiet: since the
 * owner took its messages, and until it takes them again, nothing becomes free in it but by messages, whose bits the sender writes itself.
 * Not here  what the owner does: inbox.c.
 */
#ifndef HEAP_INBOX_INL_H
#define HEAP_INBOX_INL_H

#include "heap/tcache.h"

ALWAYS_INLINE bool inbox_push(struct inbox *b, struct span *s)
{
    struct span *head = atomic_load_explicit(&b->head, memory_order_acquire);
    do {
        if (head == INBOX_CLOSED)
            return false;
        atomic_store_explicit(&s->inbox_next, head, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak_explicit(&b->head, &head, s, memory_order_release, memory_order_acquire));
    return true;
}

/* An inbox is closed after the last span has left it, so whoever finds it closed reads another pointer now. */
ALWAYS_INLINE void inbox_push_wherever(struct span *s)
{
    while (!inbox_push(atomic_load_explicit(&s->inbox, memory_order_acquire), s))
        continue;
}

/* After the sender's bit is set: the span goes to its inbox unless it is there. flags_before: span->flags as read while the
 * freed block still kept the span alive. */
ALWAYS_INLINE void inbox_announce(struct span *s, uint64_t flags_before)
{
    uint64_t flags = atomic_load(&s->flags);
    do {
        bool is_retired = (flags ^ flags_before) >= SPAN_GENERATION;
        if (is_retired || (flags & SPAN_REMOTE) != 0)
            return;
    } while (!atomic_compare_exchange_weak(&s->flags, &flags, flags | SPAN_REMOTE));
    __atomic_store_n(&s->fast_owner, NULL, __ATOMIC_SEQ_CST);
    inbox_push_wherever(s);
}

/* What a free of must be decided by heap_free: with the last two the block may be one that was found unreachable. */
enum { INBOX_NOT_BY_MESSAGE = SPAN_SPECIAL | SPAN_LARGE | SPAN_SAMPLED | SPAN_TINY | SPAN_HOLDS | SPAN_SUSPECT | SPAN_UNSWEPT };

ALWAYS_INLINE struct inbox_seen *inbox_seen_of(const struct tcache *self, const struct span *s)
{
    return &self->seen[s->class_no % INBOX_SEEN_N];
}

/* From what was seen: the block was not free when this free began. false: who knows. self: this thread's cache. */
ALWAYS_INLINE bool inbox_is_seen(const struct span *s, uint32_t idx, const struct tcache *self)
{
    const struct inbox_seen *seen = inbox_seen_of(self, s);
    return seen->word == &s->remote[idx >> 6] && seen->period == span_quiet_period(s) && ((seen->handed_out >> (idx & 63)) & 1) != 0;
}

/* Looks at the block's free bit, and remembers those beside it. true: it is handed out. pre: the period is a quiet one, and was read
 * before. */
ALWAYS_INLINE bool inbox_look(const struct span *s, uint32_t idx, uint64_t period, struct inbox_seen *seen)
{
    seen->word = &s->remote[idx >> 6];
    seen->period = period;
    seen->handed_out = ~__atomic_load_n(&s->words[idx >> 6].free, __ATOMIC_ACQUIRE);
    return ((seen->handed_out >> (idx & 63)) & 1) != 0;
}

/* The common case of a free of another thread's block: may it be a message? Told by reads only. false: heap_free has to look. self: this
 * thread's cache. */
ALWAYS_INLINE bool inbox_may_write(const struct span *s, const struct tcache *self)
{
    return atomic_load_explicit(&s->owner, memory_order_relaxed) != self &&
           (atomic_load_explicit(&s->flags, memory_order_acquire) & INBOX_NOT_BY_MESSAGE) == 0;
}
/* After the look at the block, and after the flags were read for inbox_write. */
ALWAYS_INLINE bool inbox_is_still(const struct slice *e, const struct span *s)
{
    return span_of_ref(LOAD_ONCE(e->span)) == s;
}

/* false: the block was freed twice, and heap_free will find the same. */
ALWAYS_INLINE bool inbox_write(struct span *s, uint32_t idx, uint64_t flags_before)
{
    uint64_t bit = UINT64_C(1) << (idx & 63);
    if ((__atomic_fetch_or(&s->remote[idx >> 6], bit, __ATOMIC_SEQ_CST) & bit) != 0)
        return false;
    inbox_announce(s, flags_before);
    return true;
}

#endif
