/* Inboxes: how a remote freer tells an owner which of its spans has messages; the sender's side is inbox_inl.h.
 *
 * sender                                    owner
 *   note the span's generation                take the whole stack (one exchange)
 *   remote[w] |= bit                          for each span: read inbox_next, then flags &= ~REMOTE,
 *   REMOTE clear, generation the same?          then exchange each remote word for 0
 *   set it, then push span on span->inbox
 * The flag is cleared before the bits are read, so a bit set later finds the flag clear and pushes again.
 *
 * From the moment its bit is set the sender holds no block of the span any more: somebody else's message may bring the bit
 * to the owner, who may find the span empty, retire it, and use the descriptor for another one. So a sender touches nothing
 * unless it has set REMOTE in the same generation; and a span with REMOTE is not retired.
 */
#include "base/counters.h"
#include "heap/central.h"
#include "heap/inbox_inl.h"
#include "heap/meta.h"

const struct inbox_seen inbox_seen_nothing[INBOX_SEEN_N];

struct span *inbox_take_all(struct inbox *b, bool close)
{
    if (!close && atomic_load_explicit(&b->head, memory_order_relaxed) == NULL)
        return NULL;
    struct span *s = atomic_exchange_explicit(&b->head, close ? INBOX_CLOSED : NULL, memory_order_acquire);
    return s == INBOX_CLOSED ? NULL : s;
}

/* Without memory nothing is remembered, and the next free tries again. */
void inbox_begin_to_see(struct tcache *tc)
{
    if (tc->seen != inbox_seen_nothing)
        return;
    struct inbox_seen *seen = meta_alloc(INBOX_SEEN_N * sizeof(struct inbox_seen));
    if (seen != NULL)
        tc->seen = seen;
}

bool inbox_receive(struct inbox *b, struct span *s)
{
    if (atomic_load_explicit(&s->inbox, memory_order_acquire) != b) {
        inbox_push_wherever(s);
        return false;
    }
    span_end_quiet(s);
    span_flag_clear(s, SPAN_REMOTE);
    span_drain(s);
    return true;
}
