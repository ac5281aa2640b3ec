/* See sweep.h. */
#include "gc/sweep.h"

#include "gc/mark.h"
#include "heap/heap.h"
#include "heap/quarantine.h"

static void sweep_add(struct sweep_totals *t, const struct span *s, uint32_t n_live, uint32_t n_dead)
{
    t->n_live += n_live;
    t->n_dead += n_dead;
    t->live_bytes += n_live * s->size_bytes;
    t->dead_bytes += n_dead * s->size_bytes;
}

/* An empty span from which its owner allocates just now stays: it would ask for another at once. */
static bool sweep_should_release(struct span *s, uint32_t n_live, uint32_t n_won)
{
    return n_live == 0 && (span_flags(s) & SPAN_SUSPECT) == 0 && (n_won != 0 || s->list_no != LIST_CURRENT);
}

static uint32_t sweep_judge_held(struct span *s, struct sweep_totals *t)
{
    uint32_t n_held, n_unheld = quarantine_judge(s, &n_held);
    t->n_held += n_held;
    t->n_unheld += n_unheld;
    t->held_bytes += n_held * s->size_bytes;
    t->unheld_bytes += n_unheld * s->size_bytes;
    return n_unheld;
}

static void sweep_publish_span(struct span *s, void *ctx)
{
    struct sweep_totals *t = ctx;
    uint32_t n_live = 0;
    uint32_t n_unheld = (span_flags(s) & SPAN_HOLDS) != 0 ? sweep_judge_held(s, t) : 0;
    uint32_t n_dead = heap_publish_dead(s, &n_live);
    sweep_add(t, s, n_live, n_dead);
    t->suspect_bytes += span_count_suspects(s) * s->size_bytes;
    if (!sweep_should_release(s, n_live, n_dead + n_unheld))
        return;
    heap_release_dead_span(s);
    t->n_spans_released++;
}

struct sweep_totals sweep_publish(void)
{
    struct sweep_totals t = {0};
    heap_walk_spans(sweep_publish_span, &t);
    heap_set_used(t.live_bytes);
    return t;
}

static void sweep_count_span(struct span *s, void *ctx)
{
    uint32_t n_live = 0, n_dead = 0;
    for (uint32_t w = 0; w < s->n_words; w++) {
        uint64_t valid = span_valid_mask(s, w), mark = s->words[w].mark;
        n_live += bits_popcount64(mark & valid);
        n_dead += bits_popcount64(~s->words[w].free & ~mark & ~span_held(s, w) & valid);
    }
    sweep_add(ctx, s, n_live, n_dead);
}

struct sweep_totals sweep_count(void)
{
    struct sweep_totals t = {0};
    heap_walk_spans(sweep_count_span, &t);
    mark_clear_all();
    heap_set_used(t.live_bytes + t.dead_bytes);
    return t;
}
