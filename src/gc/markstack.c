/* See markstack.h. */
#include "gc/markstack.h"

#include "base/check.h"
#include "heap/meta.h"

enum {
    MARKSTACK_BIG_ENTRIES = 2,
    MARKSTACK_KEEP_BYTES = 1 << 20, /* an ordinary cycle's stack is not given back and faulted in again each time */
};

bool markstack_init(struct markstack *s, size_t n_entries)
{
    if (n_entries < MARKSTACK_MIN_ENTRIES)
        n_entries = MARKSTACK_MIN_ENTRIES;
    for (;; n_entries /= 2) {
        if (n_entries < MARKSTACK_MIN_ENTRIES)
            return false;
        s->base = meta_scratch_reserve(SCRATCH_MARK_STACK, n_entries * sizeof(uint64_t));
        if (s->base != NULL)
            break;
    }
    s->end = s->base + n_entries;
    s->top = s->base;
    s->peak = s->base;
    s->is_overflowed = false;
    return true;
}

void markstack_release(struct markstack *s)
{
    if ((size_t)((char *)s->peak - (char *)s->base) > MARKSTACK_KEEP_BYTES)
        meta_scratch_release(SCRATCH_MARK_STACK, MARKSTACK_KEEP_BYTES);
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
