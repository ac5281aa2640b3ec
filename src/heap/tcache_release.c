/* What a thread cache no longer needs: empty spans go back to the arena, idle pages to the kernel; see tcache.h.
 *
 * What    looks at the available spans of a cache: when new spans are needed, when time has passed, and for threads that
 *         wait, by whoever is awake.
 * Locks   as tcache.h; the cache of another thread only while its gate is borrowed.
 * Not here  orphans: central.c. Free slices: arena_purge.c.
 */
#include "heap/tcache.h"

#include "heap/heap.h"
#include "heap/sample.h"
#include "heap/stash.h"
#include "os/critical_inl.h"
#include "os/os.h"

enum { TCACHE_ROOM_MIN_SLICES = 16, TCACHE_ROOM_SHARE = 16 };
#define TCACHE_DECAY_NS ((uint64_t)100 * 1000 * 1000)
#define TCACHE_LOOK_NS ((uint64_t)10 * 1000) /* for each slice: some fifty times what a look at a span takes */

static size_t tcache_release_from(struct list *l, bool is_dormant, struct os_vm_drops *drops)
{
    size_t n_seen = 0;
    if (tcache_list_is_empty(l))
        return 0;
    LIST_FOREACH_SAFE(n, after, l) {
        struct span *s = LIST_ENTRY(n, struct span, link);
        n_seen += s->n_slices;
        if (span_retire_empty(s)) {
            list_remove(n);
            s->list_no = LIST_NONE;
            heap_release_span(s);
        } else if (is_dormant) {
            span_look_dormant(s, drops);
        } else {
            span_look_idle(s, drops);
        }
    }
    return n_seen;
}

/* What a class that hands out nothing any more has free lies idle for long, in its current span, too. */
static size_t tcache_release_class(struct tcache_set *set, unsigned class_no, struct os_vm_drops *drops)
{
    struct span *s = tcache_bin_of(set, class_no)->span;
    bool is_dormant = s != NULL && span_is_dormant(s);
    if (is_dormant)
        span_look_dormant(s, drops);
    return tcache_release_from(&set->lists[class_no].available, is_dormant, drops);
}

size_t tcache_release_empty(struct tcache *tc)
{
    size_t n_seen = 0;
    struct os_vm_drops drops;
    os_vm_drop_begin(&drops);
    tcache_drain_inbox(tc);
    stash_release(tc);
    for (unsigned f = 0; f < FLAVOR_N; f++)
        for (unsigned c = 0; tc->sets[f] != NULL && c < tcache_n_bins(tc->sets[f]); c++)
            n_seen += tcache_release_class(tc->sets[f], c, &drops);
    span_trim_rest(&drops);
    tc->n_new_slices = 0;
    tc->n_slices_seen = (uint32_t)n_seen;
    tc->ticks_seen = tc->ticks;
    return n_seen;
}

size_t tcache_trim(struct tcache *tc)
{
    struct os_vm_drops drops;
    os_vm_drop_begin(&drops);
    tcache_release_empty(tc);
    for (unsigned f = 0; f < FLAVOR_N; f++)
        for (unsigned c = 0; tc->sets[f] != NULL && c < tcache_n_bins(tc->sets[f]); c++) {
            struct list *available = &tc->sets[f]->lists[c].available;
            struct span *current = tcache_bin_of(tc->sets[f], c)->span;
            if (current != NULL)
                span_trim(current, &drops);
            if (!tcache_list_is_empty(available))
                LIST_FOREACH(n, available)
                    span_trim(LIST_ENTRY(n, struct span, link), &drops);
        }
    return span_trim_rest(&drops);
}

/* What one class no longer needs serves another before new memory does. A look at a span costs a small part of what new
 * pages cost, so there is one look at all of them to so many new ones. By memory, not by number: the spans of some classes have 16 slices. */
void tcache_make_room(struct tcache *tc, uint32_t n_slices)
{
    tc->n_new_slices += n_slices;
    if (tc->n_new_slices > TCACHE_ROOM_MIN_SLICES + tc->n_slices_seen / TCACHE_ROOM_SHARE)
        tcache_release_empty(tc);
    heap_decay_by_work();
}

/* Looking at many spans takes long, so the next look is then further away: it stays a small share of the time. */
void tcache_tick(struct tcache *tc)
{
    if (tc->ticks < 0) /* a refill's tick does not cut short what a free's tick stands for */
        tc->ticks = UNLIKELY(sample_rate() != 0) ? SAMPLE_TICK_FREES : TCACHE_TICK_FREES;
    atomic_store_explicit(&tc->thread, os_tls.thread, memory_order_release);
    uint64_t now = os_clock_coarse_ns();
    if (now < tc->next_decay_ns)
        return;
    tc->next_decay_ns = now + TCACHE_DECAY_NS + tcache_release_empty(tc) * TCACHE_LOOK_NS;
    heap_decay(now);
}

static bool tcache_is_as_it_was(const struct tcache *tc)
{
    return tc->n_slices_seen == 0 && tc->ticks == tc->ticks_seen && tc->stash.n_slices == 0 &&
           atomic_load_explicit(&tc->inbox.head, memory_order_relaxed) == NULL;
}

/* The record may serve another thread by now, or its thread have another cache. */
static size_t tcache_release_borrowed(struct tcache *tc, struct os_thread *t, bool at_once)
{
    if (!tc->is_active || tc->tid != t->tid || atomic_load(&tc->thread) != t)
        return 0;
    if (at_once)
        return tcache_trim(tc);
    tcache_release_empty(tc);
    return 0;
}

size_t tcache_release_of_waiting(bool at_once)
{
    struct tcache *first = tcache_first();
    size_t bytes = 0;
    if (first == NULL || (first == tcache_self && first->next == NULL)) /* no cache but ours: spare it the questions below */
        return 0;
    if (os_seccomp_is_on() || !os_gate_is_tight()) /* a handler could run on in a thread whose gate is borrowed */
        return 0;
    for (struct tcache *tc = first; tc != NULL; tc = tc->next) {
        struct os_thread *t = atomic_load_explicit(&tc->thread, memory_order_acquire);
        if (t == NULL || t == os_tls.thread || (!at_once && tcache_is_as_it_was(tc)) || !os_gate_borrow(t))
            continue;
        bytes += tcache_release_borrowed(tc, t, at_once);
        os_gate_return(t);
    }
    return bytes;
}
