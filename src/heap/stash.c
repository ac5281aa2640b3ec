/* See stash.h. What lies here counts as used, as open windows do: so neither free nor malloc writes the heap's estimate. */
#include "heap/stash.h"

#include "heap/arena.h"
#include "heap/heap.h"
#include "os/critical_inl.h"

enum {
    STASH_MAX_SLICES = 16, /* of one thread ... */
    STASH_SHARE = 64,      /* ... and of what is in use: threads may be many */
};

static bool stash_has_room(const struct tcache *tc, uint32_t n_slices)
{
    size_t after = (size_t)tc->stash.n_slices + n_slices;
    return after <= STASH_MAX_SLICES && after <= (arena_used_bytes() >> SLICE_SHIFT) / STASH_SHARE;
}

bool stash_keep(struct span *s)
{
    struct tcache *tc = tcache_self;
    if (tc == &tcache_none || s->n_slices > STASH_SPAN_SLICES || s->flavor != FLAVOR_MALLOC || span_flags(s) != SPAN_LARGE ||
        !stash_has_room(tc, s->n_slices))
        return false;
    struct list *l = &tc->stash.spans[s->n_slices - 1];
    if (l->next == NULL)
        list_init(l);
    atomic_store_explicit(&s->owner, tc, memory_order_relaxed);
    s->list_no = LIST_STASH;
    list_push_front(l, &s->link);
    tc->stash.n_slices += s->n_slices;
    return true;
}

void stash_drop(struct span *s)
{
    struct tcache *tc = atomic_load_explicit(&s->owner, memory_order_relaxed);
    ASSERT(s->list_no == LIST_STASH);
    tc->stash.n_slices -= s->n_slices;
    list_remove(&s->link);
    s->list_no = LIST_LARGE;
    atomic_store_explicit(&s->owner, NULL, memory_order_relaxed);
}

void *stash_take(uint32_t n_slices, size_t usable_bytes, unsigned flavor)
{
    struct list *l = &tcache_self->stash.spans[n_slices - 1];
    if (flavor != FLAVOR_MALLOC || tcache_list_is_empty(l))
        return NULL;
    struct span *s = LIST_ENTRY(l->next, struct span, link);
    stash_drop(s);
    tcache_account(tcache_self, (int64_t)usable_bytes - (int64_t)s->size_bytes);
    s->size_bytes = usable_bytes;
    __atomic_store_n(&s->words[0].free, 0, __ATOMIC_RELEASE);
    return (void *)s->start;
}

void stash_release(struct tcache *tc)
{
    for (unsigned i = 0; i < STASH_SPAN_SLICES; i++)
        while (!tcache_list_is_empty(&tc->stash.spans[i])) {
            struct span *s = LIST_ENTRY(tc->stash.spans[i].next, struct span, link);
            stash_drop(s);
            heap_large_free(s, TOMB_FREED);
        }
}

size_t stash_check(const struct tcache *tc)
{
    size_t n = 0, n_slices = 0;
    for (unsigned i = 0; i < STASH_SPAN_SLICES; i++) {
        const struct list *l = &tc->stash.spans[i];
        if (l->next == NULL)
            continue;
        CHECK(list_check(l));
        LIST_FOREACH(node, l) {
            const struct span *s = LIST_ENTRY(node, struct span, link);
            CHECK(atomic_load(&s->owner) == tc && s->list_no == LIST_STASH && s->n_slices == i + 1);
            CHECK((s->words[0].free & 1) != 0);
            n_slices += s->n_slices;
            n++;
        }
    }
    CHECK(n_slices == tc->stash.n_slices);
    return n;
}
