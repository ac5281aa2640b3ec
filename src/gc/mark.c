/* See mark.h; the inner loop is in mark_blocks.c, the step from word to bit in mark_inl.h.
 *
 * The stack has an entry for each 128 bytes of heap: random graphs of small blocks need about a third of
 * that, and where it does not suffice, marked blocks are walked again (marker_rescan) until nothing more was
 * lost.
 */
#include "gc/mark.h"

#include "base/compiler.h"
#include "gc/mark_inl.h"
#include "gc/mark_team.h"
#include "gc/markcheck.h"
#include "heap/heap.h"
#include "heap/meta.h"
#include "heap/probation.h"
#include "os/os.h"

enum {
    MARK_HEAP_BYTES_PER_ENTRY = 128,
    MARK_STACK_MIN_ENTRIES = 32 * 1024,
};

/* Scratch: all markers, the collecting thread's first; then the work that they share. */
struct marker *mark_main;
struct mark_stats mark_stats;
bool mark_has_full_blocks;
static unsigned mark_n_markers;
static bool mark_is_first_drain;
static size_t mark_stack_limit;

void mark_set_stack_limit(size_t n_entries)
{
    mark_stack_limit = n_entries;
}

static size_t mark_stack_entries(void)
{
    if (mark_stack_limit != 0)
        return mark_stack_limit;
    size_t n = heap_mapped_bytes() / MARK_HEAP_BYTES_PER_ENTRY;
    return n > MARK_STACK_MIN_ENTRIES ? n : MARK_STACK_MIN_ENTRIES;
}

size_t mark_scratch_bytes(void)
{
    size_t shared = mark_n_markers > 1 ? MARK_TEAM_SHARED_ENTRIES * sizeof(uint64_t) : 0;
    return mark_n_markers * sizeof(struct marker) + shared;
}

bool mark_prepare(void)
{
    mark_n_markers = mark_team_size();
    mark_main = meta_scratch_reserve(SCRATCH_OTHER, mark_scratch_bytes());
    if (mark_main == NULL)
        return false;
    size_t n_entries = markstack_reserve(mark_stack_entries(), mark_n_markers);
    for (unsigned i = 0; i < mark_n_markers && n_entries != 0; i++)
        markstack_place(&mark_main[i].stack, i, n_entries);
    return n_entries != 0;
}

static void mark_begin_marker(struct marker *m)
{
    ASSERT(markstack_is_empty(&m->stack));
    m->bounds.base = heap_map.arena_base;
    m->bounds.n_bytes = heap_map.arena_bytes;
    m->bounds.guard = os_pointer_guard();
    m->map = (struct mark_map){heap_map.arena_base, heap_map.slices, heap_map.meta_base + offsetof(struct span, words)};
    m->none = (struct span_word){UINT64_MAX, 0};
    for (unsigned i = 0; i < MARK_N_EDGES; i++)
        m->edges[i] = (struct mark_edge){&m->none, 0};
    m->put_bytes = m->flushed_bytes = m->range_at = m->n_ranges = 0;
    m->n_scanned_bytes = 0;
    m->n_faults = 0;
    m->is_void = m->is_team = m->is_shared = m->is_oldest_first = false;
    m->own_bits = offsetof(struct span_word, mark);
}

void mark_begin(void)
{
    for (unsigned i = 0; i < mark_n_markers; i++)
        mark_begin_marker(&mark_main[i]);
    mark_stats = (struct mark_stats){0};
    mark_filter_n_hidden = 0;
    mark_is_first_drain = true;
}

void mark_root_spans(bool is_malloc_root)
{
    if (markcheck_is_active)
        markcheck_root_spans(is_malloc_root);
    else
        marker_root_spans(mark_main, is_malloc_root);
}

/* What all markers did together. true: some stack was full. */
static bool mark_collect_stats(void)
{
    bool is_overflowed = false;
    mark_stats.n_scanned_bytes = mark_stats.stack_peak_bytes = mark_stats.n_faults = 0;
    for (unsigned i = 0; i < mark_n_markers; i++) {
        struct marker *m = &mark_main[i];
        mark_stats.n_scanned_bytes += m->n_scanned_bytes;
        mark_stats.n_faults += m->n_faults;
        mark_stats.stack_peak_bytes += (size_t)((char *)m->stack.peak - (char *)m->stack.floor);
        is_overflowed |= m->stack.is_overflowed;
        m->stack.is_overflowed = false;
    }
    return is_overflowed;
}

/* The first drain follows all roots; what finalizers add later rarely pays for waking anybody. */
static bool mark_run(struct marker *m)
{
    bool is_first = mark_is_first_drain;
    mark_is_first_drain = false;
    if (is_first && mark_n_markers > 1)
        return mark_team_run(m, mark_n_markers, (uint64_t *)(m + mark_n_markers));
    return marker_run_guarded(m);
}

bool mark_drain(void)
{
    bool is_complete = mark_run(mark_main);
    while (mark_collect_stats() && is_complete)
        is_complete = marker_rescan(mark_main);
    return is_complete;
}

void mark_finish(void)
{
    markstack_release(mark_stats.stack_peak_bytes);
}

void mark_alone(void)
{
    mark_n_markers = 1;
}

static void mark_clear_span(struct span *s, void *ctx)
{
    (void)ctx;
    span_clear_marks(s);
}

void mark_clear_all(void)
{
    markstack_reset(&mark_main->stack);
    heap_walk_spans(mark_clear_span, NULL);
}

/* ---- ranges ---- */

void mark_words(uintptr_t lo, uintptr_t hi)
{
    if (UNLIKELY(markcheck_is_active)) {
        markcheck_words(lo, hi, sizeof(uint64_t));
        return;
    }
    lo = bits_round_up(lo, sizeof(uint64_t));
    hi = bits_round_down(hi, sizeof(uint64_t));
    while (lo < hi) {
        size_t n_bytes = hi - lo < MARK_CHUNK_BYTES ? hi - lo : MARK_CHUNK_BYTES;
        marker_scan_chunk(mark_main, lo, n_bytes);
        lo += n_bytes;
    }
}

/* Words at lo, lo + 4, lo + 8 ... */
static void mark_by_fours(uintptr_t lo, uintptr_t hi)
{
    const size_t step = sizeof(uint32_t);
    struct marker *m = mark_main;
    while (lo + sizeof(uint64_t) <= hi) {
        size_t n_words = (hi - lo - sizeof(uint64_t)) / step + 1;
        if (n_words > MARK_CHUNK_WORDS)
            n_words = MARK_CHUNK_WORDS;
        uint32_t n = mark_filter_unaligned(m->bounds, lo, n_words, m->words);
        marker_put_words(m, n);
        lo += n_words * step;
    }
}

void mark_words_unaligned(uintptr_t lo, uintptr_t hi)
{
    if (UNLIKELY(markcheck_is_active))
        markcheck_words(lo, hi, sizeof(uint32_t));
    else
        mark_by_fours(bits_round_up(lo, sizeof(uint32_t)), hi);
}

void mark_words_bytewise(uintptr_t lo, uintptr_t hi)
{
    if (UNLIKELY(markcheck_is_active)) {
        markcheck_words(lo, hi, 1);
        return;
    }
    for (size_t shift = 0; shift < sizeof(uint32_t); shift++)
        mark_by_fours(lo + shift, hi);
}

static bool mark_is_start_of_block(uintptr_t addr)
{
    struct heap_obj found;
    return heap_find_object(addr, &found) == HEAP_LIVE && found.start == addr;
}

/* The block whose last byte is just below word, where there is one. pre: word - 1 lies in the arena. */
static void mark_put_end_word(struct marker *m, uint64_t word)
{
    struct mark_edge e;
    uintptr_t end = word & MARK_ADDRESS_MASK;
    if (end % SIZECLASS_ALIGN != 0 || !mark_word_is_plausible(word))
        return;
    if (!mark_find_edge(m->map, end - 1 - m->bounds.base, &e))
        return;
    const struct span *s = span_of_ref(slice_of(end - 1)->span);
    struct mark_block b = mark_edge_block(m->map, e);
    bool is_end = b.n_units != 0 ? b.start + b.n_units * SIZECLASS_ALIGN == end : s->start + s->size_bytes == end;
    if (is_end && (mark_end_keeps(s->flavor, s->size_bytes) || !mark_is_start_of_block(end)))
        marker_put_edge(m, e);
}

void mark_stack_words(uintptr_t lo, uintptr_t hi)
{
    if (UNLIKELY(markcheck_is_active)) {
        markcheck_stack_words(lo, hi);
        return;
    }
    mark_words(lo, hi);
    /* Once more for the ends: a word behind the last block of the arena is no word of the arena. */
    struct marker *m = mark_main;
    struct mark_bounds ends = {m->bounds.base + 1, m->bounds.n_bytes, 0};
    lo = bits_round_up(lo, sizeof(uint64_t));
    hi = bits_round_down(hi, sizeof(uint64_t));
    while (lo < hi) {
        size_t n_bytes = hi - lo < MARK_CHUNK_BYTES ? hi - lo : MARK_CHUNK_BYTES;
        uint32_t n = mark_filter(ends, lo, n_bytes / sizeof(uint64_t), m->words);
        for (uint32_t i = 0; i < n; i++)
            mark_put_end_word(m, m->words[i]);
        lo += n_bytes;
    }
}

/* ---- single blocks ---- */

void mark_addr_block(uintptr_t addr)
{
    struct marker *m = mark_main;
    struct mark_edge e;
    if (UNLIKELY(markcheck_is_active))
        markcheck_addr(addr);
    else if (addr - m->bounds.base < m->bounds.n_bytes && mark_find_edge(m->map, addr - m->bounds.base, &e))
        marker_put_edge(m, e);
}

/* The block is not marked, so a walk would not find it again: there must be room. */
void mark_block_content(uintptr_t obj)
{
    struct marker *m = mark_main;
    struct heap_obj found;
    if (heap_find_object(obj, &found) != HEAP_LIVE || flavor_is_noscan(found.span->flavor))
        return;
    if (m->stack.end - m->stack.top < MARKSTACK_MIN_ENTRIES / 2)
        marker_run_guarded(m);
    marker_push_content(m, found.span, found.idx);
}

bool mark_is_marked(uintptr_t obj)
{
    if (!heap_contains(obj))
        return false;
    const struct slice *e = slice_of(obj);
    if (e->span == 0)
        return false;
    uint32_t in_slice = obj & (SLICE_SIZE - 1);
    uint32_t idx = slice_block_idx(e, ((uint32_t)e->slice_no << SLICE_SHIFT) + in_slice);
    return (span_of_ref(e->span)->words[idx >> 6].mark >> (idx & 63)) & 1;
}

bool mark_is_dead(uintptr_t obj)
{
    return !mark_is_marked(obj) && probation_is_over(obj);
}
