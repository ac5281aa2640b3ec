/* See markstack.h. */
#include "gc/markstack.h"

#include <string.h>

#include "base/check.h"
#include "heap/meta.h"

enum {
    /* an ordinary cycle's stack is not given back and faulted in again each time */
    MARKSTACK_KEEP_BYTES = 1 << 20,
};

size_t markstack_reserve(size_t n_entries, size_t n_stacks)
{
    if (n_entries < MARKSTACK_MIN_ENTRIES)
        n_entries = MARKSTACK_MIN_ENTRIES;
    for (; n_entries >= MARKSTACK_MIN_ENTRIES; n_entries /= 2)
        if (meta_scratch_reserve(SCRATCH_MARK_STACK, n_stacks * n_entries * sizeof(uint64_t)) != NULL)
            return n_entries;
    return 0;
}

void markstack_place(struct markstack *s, size_t stack_no, size_t n_entries)
{
    uint64_t *first = meta_scratch_reserve(SCRATCH_MARK_STACK, (stack_no + 1) * n_entries * sizeof(uint64_t));
    ASSERT(first != NULL); /* it has grown to this size already */
    s->floor = s->base = s->top = s->peak = first + stack_no * n_entries;
    s->end = s->base + n_entries;
    s->is_overflowed = false;
}

void markstack_release(size_t used_bytes)
{
    if (used_bytes > MARKSTACK_KEEP_BYTES)
        meta_scratch_release(SCRATCH_MARK_STACK, MARKSTACK_KEEP_BYTES);
}

/* ---- giving and taking ---- */

static void markstack_set(uint64_t *at, size_t width, struct mark_range r)
{
    if (width == MARKSTACK_BIG_ENTRIES) {
        at[0] = (uint64_t)r.n_bytes << 1 | r.is_sparse;
        at[1] = r.lo;
    } else {
        at[0] = markstack_entry(r.lo, r.n_bytes);
    }
}

bool markstack_has_long(const struct markstack *s)
{
    return !markstack_is_empty(s) && markstack_oldest(s).n_bytes >= MARKSTACK_LONG_BYTES;
}

/* Its second half; both in the form that the whole had, and of an even number of words, as small ranges are read. */
static size_t markstack_give_half(struct markstack *s, uint64_t *out)
{
    struct mark_range r = markstack_oldest(s);
    size_t width = markstack_width(s->base[0]), keep = bits_round_down(r.n_bytes / 2, 2 * MARKSTACK_UNIT);
    markstack_set(out, width, (struct mark_range){r.lo + keep, r.n_bytes - keep, r.is_sparse});
    markstack_set(s->base, width, (struct mark_range){r.lo, keep + MARKSTACK_OVERLAP_BYTES, r.is_sparse});
    return width;
}

size_t markstack_give(struct markstack *s, uint64_t *out, size_t max)
{
    if (max >= MARKSTACK_BIG_ENTRIES && markstack_has_long(s))
        return markstack_give_half(s, out);
    size_t n = (size_t)(s->top - s->base) / 2, i = 0;
    if (n > max)
        n = max;
    while (i < n && i + markstack_width(s->base[i]) <= n)
        i += markstack_width(s->base[i]);
    memcpy(out, s->base, i * sizeof(*out));
    s->base += i;
    return i;
}

size_t markstack_take(struct markstack *s, const uint64_t *from, size_t n, size_t max)
{
    size_t left = n;
    ASSERT(markstack_is_empty(s));
    s->base = s->top = s->floor;
    if (max > (size_t)(s->end - s->base))
        max = (size_t)(s->end - s->base);
    while (left > 0 && n - left + markstack_width(from[left - 1]) <= max)
        left -= markstack_width(from[left - 1]);
    memcpy(s->base, from + left, (n - left) * sizeof(*from));
    s->top += n - left;
    return left;
}

void markstack_push_big(struct markstack *s, uintptr_t lo, size_t n_bytes, bool is_sparse)
{
    ASSERT(n_bytes > 0);
    if (s->end - s->top < MARKSTACK_BIG_ENTRIES) {
        s->is_overflowed = true;
        return;
    }
    *s->top++ = (uint64_t)n_bytes << 1 | is_sparse;
    *s->top++ = lo;
}

void markstack_push(struct markstack *s, struct mark_range r)
{
    bool is_small = r.n_bytes % MARKSTACK_UNIT == 0 && r.n_bytes <= MARKSTACK_SMALL_MAX_BYTES && !r.is_sparse;
    if (is_small)
        markstack_push_small(s, r.lo, r.n_bytes);
    else
        markstack_push_big(s, r.lo, r.n_bytes, r.is_sparse);
}
