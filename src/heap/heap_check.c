/* Does everything agree? The checker behind heap_check: slice table, spans, lists and the arena's figures count the same
 * spans from different sides.
 *
 * Callers  tests, and the collector in checking builds: world stopped, or a single thread, in a critical section.
 */
#include "base/check.h"
#include "heap/arena.h"
#include "heap/central.h"
#include "heap/heap.h"

struct heap_census {
    size_t n_slices, n_owned, n_central;
};

static void check_place(const struct span *s, struct heap_census *census)
{
    bool is_owned = atomic_load(&s->owner) != NULL;
    census->n_slices += s->n_slices;
    census->n_owned += is_owned;
    census->n_central += s->list_no == LIST_CENTRAL;
    CHECK(span_is_large(s) == (s->list_no == LIST_LARGE || s->list_no == LIST_STASH));
    CHECK(is_owned == (s->list_no == LIST_CURRENT || s->list_no == LIST_AVAILABLE || s->list_no == LIST_FULL ||
                       s->list_no == LIST_STASH));
    CHECK((s->list_no == LIST_FULL) == ((span_flags(s) & SPAN_FULL) != 0));
}

static void check_span(struct span *s, void *ctx)
{
    CHECK(s->is_ready);
    for (uint32_t i = 0; i < s->n_slices; i++) {
        const struct slice *e = slice_of(s->start + ((uintptr_t)i << SLICE_SHIFT));
        CHECK(span_of_ref(e->span) == s);
        CHECK(e->flavor == s->flavor);
        CHECK(e->slice_no == (i > UINT16_MAX ? UINT16_MAX : i));
        CHECK(slice_block_size(e) == (span_is_large(s) ? 0 : s->size_bytes));
    }
    check_place(s, ctx);
    span_check(s);
}

void heap_check(void)
{
    struct heap_census census = {0}, seen = {0};
    heap_walk_spans(check_span, &census);
    for (struct tcache *tc = tcache_first(); tc != NULL; tc = tc->next)
        seen.n_owned += tcache_check(tc);
    seen.n_central = central_check();
    CHECK(census.n_owned == seen.n_owned);
    CHECK(census.n_central == seen.n_central);
    arena_check(census.n_slices);
}
