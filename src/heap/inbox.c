/* Inboxes: how a remote freer tells an owner which of its spans has messages. See central.h.
 *
 * sender                                    owner
 *   remote[w] |= bit                          take the whole stack (one exchange)
 *   flags |= REMOTE; was it clear?            for each span: read inbox_next, then flags &= ~REMOTE,
 *   then push span on span->inbox               then exchange each remote word for 0
 * The flag is cleared before the bits are read, so a bit set later finds the flag clear and pushes again.
 */
#include "base/counters.h"
#include "heap/central.h"

static bool inbox_push(struct inbox *b, struct span *s)
{
    struct span *head = atomic_load_explicit(&b->head, memory_order_acquire);
    do {
        if (head == INBOX_CLOSED)
            return false;
        atomic_store_explicit(&s->inbox_next, head, memory_order_relaxed);
    } while (!atomic_compare_exchange_weak_explicit(&b->head, &head, s, memory_order_release, memory_order_acquire));
    return true;
}

/* A closed inbox belongs to a thread that is handing its spans to central right now: the pointer changes in a moment. */
static void inbox_push_wherever(struct span *s)
{
    while (!inbox_push(atomic_load_explicit(&s->inbox, memory_order_acquire), s))
        continue;
}

void inbox_announce(struct span *s)
{
    uint32_t before = atomic_fetch_or(&s->flags, SPAN_REMOTE);
    __atomic_store_n(&s->fast_owner, NULL, __ATOMIC_SEQ_CST);
    if ((before & SPAN_REMOTE) == 0)
        inbox_push_wherever(s);
}

struct span *inbox_take_all(struct inbox *b, bool close)
{
    if (!close && atomic_load_explicit(&b->head, memory_order_relaxed) == NULL)
        return NULL;
    struct span *s = atomic_exchange_explicit(&b->head, close ? INBOX_CLOSED : NULL, memory_order_acquire);
    return s == INBOX_CLOSED ? NULL : s;
}

bool inbox_receive(struct inbox *b, struct span *s)
{
    if (atomic_load_explicit(&s->inbox, memory_order_acquire) != b) {
        inbox_push_wherever(s);
        return false;
    }
    span_flag_clear(s, SPAN_REMOTE);
    span_drain(s);
    return true;
}
