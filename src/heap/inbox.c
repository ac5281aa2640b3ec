/* Inboxes: how a remote freer tells an owner which of its spans has messages. See central.h.
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

/* An inbox is closed after the last span has left it, so whoever finds it closed reads another pointer now. */
static void inbox_push_wherever(struct span *s)
{
    while (!inbox_push(atomic_load_explicit(&s->inbox, memory_order_acquire), s))
        continue;
}

void inbox_announce(struct span *s, uint64_t flags_before)
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
