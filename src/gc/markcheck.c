/* A second opinion for the marker: no queues, no vectors, no reciprocals of its own; each word is promoted by
 * heap_find_object, each block scanned when it is popped.
 *
 * What    the bits of the first marker are put aside, all roots are given again, and the two results are
 *         compared: they are the same, but for what the first found hidden by setjmp. The kernel may write
 *         to memory of a stopped thread (a read in progress), so one difference is no proof: both markers
 *         run again, and only the second difference is an internal error.
 * Owns    scratch memory behind the marker's own (SCRATCH_OTHER), and the marker's stack while the marker
 *         rests.
 */
#include "gc/markcheck.h"

#include <string.h>

#include "gc/mark.h"
#include "gc/mark_inl.h"
#include "heap/heap.h"
#include "heap/layout.h"
#include "heap/meta.h"
#include "heap/probation.h"
#include "os/os.h"

enum { MARKCHECK_ATTEMPTS = 2, MARKCHECK_SPARSE_MIN_BYTES = 256 * 1024 };

bool markcheck_is_active;

static struct {
    uint64_t *saved; /* mark words of all spans, in the order of the walk */
    size_t n_words;
    size_t n_differences;
    bool is_void;
} markcheck;

/* ---- marking ---- */

static void markcheck_obj(const struct heap_obj *obj)
{
    struct span_word *w = &obj->span->words[obj->idx >> 6];
    uint64_t bit = UINT64_C(1) << (obj->idx & 63);
    if ((w->mark & bit) != 0)
        return;
    w->mark |= bit;
    if (!flavor_is_noscan(obj->span->flavor))
        markstack_push(&mark_main->stack, (struct mark_range){obj->start, obj->size_bytes, false});
}

/* Freed blocks that are held are marked like any other. */
static bool markcheck_find(uintptr_t addr, struct heap_obj *obj)
{
    enum heap_find found = heap_find_object(addr, obj);
    return found == HEAP_LIVE || found == HEAP_HELD;
}

void markcheck_addr(uintptr_t addr)
{
    struct heap_obj obj;
    if (markcheck_find(addr, &obj))
        markcheck_obj(&obj);
}

static bool markcheck_word_addr(uint64_t word, uintptr_t *addr)
{
    *addr = word & MARK_ADDRESS_MASK;
    return mark_word_is_plausible(word);
}

void markcheck_words(uintptr_t lo, uintptr_t hi, size_t step)
{
    uintptr_t addr;
    for (lo = bits_round_up(lo, step); lo + sizeof(uint64_t) <= hi; lo += step) {
        uint64_t word;
        memcpy(&word, (const void *)lo, sizeof(word));
        if (markcheck_word_addr(word, &addr))
            markcheck_addr(addr);
    }
}

static bool markcheck_end_keeps(const struct heap_obj *obj, uintptr_t end)
{
    struct heap_obj next;
    return mark_end_keeps(obj->span->flavor, obj->size_bytes) || heap_find_object(end, &next) != HEAP_LIVE ||
           next.start != end;
}

void markcheck_stack_words(uintptr_t lo, uintptr_t hi)
{
    uintptr_t end;
    markcheck_words(lo, hi, sizeof(uint64_t));
    for (lo = bits_round_up(lo, sizeof(uint64_t)); lo + sizeof(uint64_t) <= hi; lo += sizeof(uint64_t)) {
        struct heap_obj obj;
        if (markcheck_word_addr(*(const uint64_t *)lo, &end) &&
            markcheck_find(end - 1, &obj) && obj.start + obj.size_bytes == end &&
            markcheck_end_keeps(&obj, end))
            markcheck_obj(&obj);
    }
}

struct markcheck_root_walk {
    bool is_malloc_root;
};

static void markcheck_root_span(struct span *s, void *ctx)
{
    const struct markcheck_root_walk *walk = ctx;
    if (!flavor_is_root(s->flavor) && !(walk->is_malloc_root && s->flavor == FLAVOR_MALLOC) && !probation_is_pinned(s))
        return;
    for (uint32_t i = 0; i < s->n_blocks; i++)
        if (!span_is_held(s, i))
            markcheck_addr(span_block(s, i));
}

void markcheck_root_spans(bool is_malloc_root)
{
    struct markcheck_root_walk walk = {is_malloc_root};
    heap_walk_spans(markcheck_root_span, &walk);
}

/* ---- scanning ---- */

/* All of a block, or a copy of a part of it: in a block of malloc words may also lie across two, untagged. */
static void markcheck_block_words(unsigned flavor, uintptr_t lo, uintptr_t hi)
{
    markcheck_words(lo, hi, sizeof(uint64_t));
    for (uintptr_t at = lo + 4; flavor == FLAVOR_MALLOC && at + sizeof(uint64_t) <= hi; at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, (const void *)at, sizeof(word));
        markcheck_addr(word);
    }
}

/* A block of flavor TYPED, by its layout, word by word. */
static void markcheck_typed(const struct span *s, const struct mark_range *r)
{
    for (uintptr_t at = r->lo; at < r->lo + r->n_bytes; at += sizeof(uint64_t))
        if ((layout_pointer_bits(s, at) & 1) != 0)
            markcheck_words(at, at + sizeof(uint64_t), sizeof(uint64_t));
}

static void markcheck_scan(void *arg)
{
    const struct mark_range *r = arg;
    const struct slice *e = slice_of(r->lo);
    if (e->flavor == FLAVOR_GC_TYPED) {
        markcheck_typed(span_of_ref(e->span), r);
        return;
    }
    markcheck_block_words(e->flavor, r->lo, r->lo + r->n_bytes);
}

static bool markcheck_scan_run(uintptr_t lo, uintptr_t hi, void *ctx)
{
    uint64_t *bounce = mark_main->bounce;
    struct mark_range r = {lo, hi - lo, false};
    uintptr_t fault_addr;
    (void)ctx;
    if (os_fault_guard(markcheck_scan, &r, &fault_addr))
        return true;
    for (; lo < hi; lo += MARK_CHUNK_BYTES - MARKSTACK_OVERLAP_BYTES) {
        size_t n = hi - lo < MARK_CHUNK_BYTES ? hi - lo : MARK_CHUNK_BYTES;
        if (os_mem_read(lo, bounce, n) != (long)n)
            markcheck.is_void = true;
        else
            markcheck_block_words(slice_of(lo)->flavor, (uintptr_t)bounce, (uintptr_t)bounce + n);
    }
    return true;
}

static void markcheck_scan_range(struct mark_range r)
{
    bool is_sparse = r.n_bytes >= MARKCHECK_SPARSE_MIN_BYTES;
    if (!is_sparse || os_pages_walk(r.lo, r.lo + r.n_bytes, markcheck_scan_run, NULL) != 0)
        markcheck_scan_run(r.lo, r.lo + r.n_bytes, NULL);
}

static void markcheck_rescan_span(struct span *s, void *ctx)
{
    (void)ctx;
    for (uint32_t i = 0; i < s->n_blocks && !flavor_is_noscan(s->flavor); i++)
        if ((s->words[i >> 6].mark >> (i & 63)) & 1)
            markcheck_scan_range((struct mark_range){span_block(s, i), s->size_bytes, false});
}

static void markcheck_drain(void)
{
    struct markstack *stack = &mark_main->stack;
    for (;;) {
        while (!markstack_is_empty(stack))
            markcheck_scan_range(markstack_pop(stack));
        if (!stack->is_overflowed)
            return;
        stack->is_overflowed = false;
        heap_walk_spans(markcheck_rescan_span, NULL);
    }
}

/* ---- comparing ---- */

static void markcheck_count_span(struct span *s, void *ctx)
{
    (void)ctx;
    markcheck.n_words += s->n_words;
}

static void markcheck_save_span(struct span *s, void *ctx)
{
    uint64_t **at = ctx;
    for (uint32_t w = 0; w < s->n_words; w++)
        *(*at)++ = s->words[w].mark;
    span_clear_marks(s);
}

static void markcheck_compare_span(struct span *s, void *ctx)
{
    uint64_t **at = ctx;
    for (uint32_t w = 0; w < s->n_words; w++) {
        uint64_t first = *(*at)++;
        uint64_t missed = s->words[w].mark & ~first, more = first & ~s->words[w].mark;
        markcheck.n_differences += missed != 0 || (more != 0 && mark_filter_n_hidden == 0);
        s->words[w].mark = first;
    }
}

static bool markcheck_reserve(void)
{
    markcheck.n_words = 0;
    heap_walk_spans(markcheck_count_span, NULL);
    size_t first = mark_scratch_bytes();
    char *scratch = meta_scratch_reserve(SCRATCH_OTHER, first + markcheck.n_words * sizeof(uint64_t));
    markcheck.saved = scratch != NULL ? (uint64_t *)(scratch + first) : NULL;
    return scratch != NULL;
}

/* The plain marker's result against the bits there are, which come back. false: something could not be
 * read. */
static bool markcheck_run(bool (*rescan_roots)(void *ctx), void *ctx)
{
    uint64_t *at = markcheck.saved;
    heap_walk_spans(markcheck_save_span, &at);
    markcheck.is_void = false;
    markcheck.n_differences = 0;
    markcheck_is_active = true;
    bool is_complete = rescan_roots(ctx);
    markcheck_drain();
    markcheck_is_active = false;
    at = markcheck.saved;
    heap_walk_spans(markcheck_compare_span, &at);
    return is_complete && !markcheck.is_void;
}

bool mark_check(bool (*rescan_roots)(void *ctx), void *ctx)
{
    if (!markcheck_reserve())
        return false;
    for (int attempt = 0; attempt < MARKCHECK_ATTEMPTS; attempt++) {
        if (!markcheck_run(rescan_roots, ctx))
            return false;
        if (markcheck.n_differences == 0)
            return true;
        mark_clear_all();
        if (!rescan_roots(ctx) || !mark_drain())
            return false;
    }
    check_failed(__FILE__, __LINE__, "two markers found different blocks reachable");
}
