/* The marker's way through blocks: the loop over stack and queues, large and sparse blocks, flavors that are
 * roots, pages that cannot be read, and the walk that makes up for a stack that was full. */
#include "gc/mark_inl.h"

#include "base/counters.h"
#include "gc/mark.h"
#include "gc/mark_team.h"
#include "heap/heap.h"
#include "heap/probation.h"
#include "os/os.h"

enum {
    MARK_SPARSE_MIN_BYTES = 256 * 1024, /* from here on untouched pages are worth a system call to find */
    MARK_MAX_RUNS = 30, /* with what is left, and the first one taken apart, they have the room that whoever begins has made */
};
_Static_assert((MARK_MAX_RUNS + 2) * MARKSTACK_BIG_ENTRIES <= MARKSTACK_MIN_ENTRIES / 2 &&
                   (MARK_MAX_RUNS + 2) * MARKSTACK_BIG_ENTRIES <= MARKSTACK_SHIFT_ROOM,
               "a sparse range fits");

/* ---- long ranges ---- */

struct mark_runs {
    uintptr_t hi;
    uintptr_t tag;
    uint32_t n;
    uintptr_t resume; /* where the next walk begins */
    struct mark_range runs[MARK_MAX_RUNS];
};

static bool marker_add_run(uintptr_t lo, uintptr_t hi, void *ctx)
{
    struct mark_runs *runs = ctx;
    if (hi > runs->hi)
        hi = runs->hi;
    if (lo >= hi)
        return true;
    runs->runs[runs->n++] = (struct mark_range){lo | runs->tag, hi - lo, false};
    runs->resume = hi;
    return runs->n < MARK_MAX_RUNS;
}

/* Takes the next pieces with content out of a sparse range; what is left of it goes back to the stack, below
 * them. Returns the first piece, empty where there is none. */
struct mark_range marker_split_sparse(struct marker *m, struct mark_range r)
{
    uintptr_t lo = bits_round_down(r.lo, sizeof(uint64_t));
    struct mark_runs runs = {.hi = lo + r.n_bytes, .tag = r.lo - lo};
    uintptr_t page_lo = bits_round_down(lo, os_page_size());
    uintptr_t page_hi = bits_round_up(runs.hi, os_page_size());
    if (os_pages_walk(page_lo, page_hi, marker_add_run, &runs) != 0)
        /* what has content is not known: read everything */
        return (struct mark_range){r.lo, r.n_bytes, false};
    if (runs.n == 0)
        return (struct mark_range){0};
    if (runs.n == MARK_MAX_RUNS && runs.resume < runs.hi)
        markstack_push_big(&m->stack, runs.resume | runs.tag, runs.hi - runs.resume, true);
    for (uint32_t i = runs.n; i-- > 1;)
        markstack_push(&m->stack, runs.runs[i]);
    return runs.runs[0];
}

/* At most a chunk of r, the rest and a little of the chunk back to the stack. */
static NOINLINE struct mark_range marker_split(struct marker *m, struct mark_range r)
{
    if (r.is_sparse)
        r = marker_split_sparse(m, r);
    if (r.n_bytes > MARK_CHUNK_BYTES) {
        const size_t step = MARK_CHUNK_BYTES - MARKSTACK_OVERLAP_BYTES;
        struct mark_range rest = {r.lo + step, r.n_bytes - step, false};
        markstack_push(&m->stack, rest);
        r.n_bytes = MARK_CHUNK_BYTES;
    }
    return r;
}

static struct mark_range marker_large_range(const struct span *s)
{
    size_t n_bytes = bits_round_down(s->size_bytes, sizeof(uint64_t));
    return (struct mark_range){s->start | marker_tag(s->flavor), n_bytes, n_bytes >= MARK_SPARSE_MIN_BYTES};
}

/* pre: the edge's block is large, handed out and unmarked. Slack behind its usable size is not the block. */
void marker_mark_large(struct marker *m, struct mark_edge e)
{
    struct span *s = CONTAINER_OF(e.word, struct span, words);
    if (m->map.arena_base + mark_edge_offset(e) - s->start >= s->size_bytes)
        return;
    if (marker_set_shared(e) && !flavor_is_noscan(s->flavor)) /* a large one is never scanned twice */
        markstack_push(&m->stack, marker_large_range(s));
}

/* ---- the loop ---- */

/* A range that was popped up to this entry: at most a chunk of it. 0: there was nothing in it. */
static NOINLINE uint64_t marker_chunk_of(struct marker *m, struct mark_range r)
{
    if (r.n_bytes > MARK_CHUNK_BYTES || r.is_sparse)
        r = marker_split(m, r);
    return markstack_entry(r.lo, r.n_bytes);
}

ALWAYS_INLINE bool marker_is_chunk(uint64_t entry)
{
    return LIKELY(markstack_entry_bytes(entry) - 1 < MARK_CHUNK_BYTES);
}

ALWAYS_INLINE uint64_t marker_next_chunk(struct marker *m)
{
    if (UNLIKELY(m->is_oldest_first) && markstack_may_shift(&m->stack))
        return marker_is_chunk(*m->stack.base) ? *m->stack.base++ : marker_chunk_of(m, markstack_shift(&m->stack));
    uint64_t entry = *--m->stack.top;
    return marker_is_chunk(entry) ? entry : marker_chunk_of(m, markstack_pop_rest(&m->stack, entry));
}

/* Once the queue is half empty, moves ranges from the stack to it, their first lines on the way. false: both
 * are empty. */
ALWAYS_INLINE bool marker_fill(struct marker *m)
{
    if (m->n_ranges > MARK_REFILL_BELOW)
        return true;
    markstack_note_peak(&m->stack);
    if (UNLIKELY(m->is_oldest_first))
        markstack_settle(&m->stack);
    if (UNLIKELY(m->is_team) && __atomic_load_n(&mark_team_n_idle, __ATOMIC_RELAXED) != 0)
        mark_team_give(m);
    uint32_t n = m->n_ranges, at = m->range_at;
    while (n < MARK_N_RANGES && !markstack_is_empty(&m->stack)) {
        uint64_t entry = marker_next_chunk(m);
        if (UNLIKELY(entry == 0))
            continue;
        marker_prefetch_range(markstack_entry_lo(entry), markstack_entry_bytes(entry));
        m->ranges[(at + n++) % MARK_N_RANGES] = entry;
    }
    m->n_ranges = n;
    return n != 0;
}

/* Nothing is left in the queue of edges afterwards. */
static void marker_flush_edges(struct marker *m)
{
    const struct mark_edge none = {&m->none, 0};
    uint64_t n_bytes = m->put_bytes - m->flushed_bytes;
    for (n_bytes = n_bytes < sizeof m->edges ? n_bytes : sizeof m->edges; n_bytes > 0; n_bytes -= sizeof none)
        marker_visit(m, m->map, marker_exchange_edge(m, m->put_bytes - n_bytes, none));
    m->flushed_bytes = m->put_bytes;
}

/* By the tags of lo. */
ALWAYS_INLINE void marker_scan(struct marker *m, uintptr_t lo, size_t n_bytes)
{
    if ((lo & MARK_TAGS) == 0)
        marker_scan_packed(m, lo, n_bytes);
    else if (UNLIKELY((lo & MARK_ALIGNED_TAG) == 0))
        marker_scan_typed(m, lo, n_bytes);
    else if (n_bytes <= MARK_DIRECT_BYTES)
        marker_scan_pairs(m, lo - MARK_ALIGNED_TAG, n_bytes);
    else
        marker_scan_chunk(m, lo - MARK_ALIGNED_TAG, n_bytes);
}

static void marker_run(void *arg)
{
    struct marker *m = arg;
    do {
        while (marker_fill(m)) {
            uint64_t entry = m->ranges[m->range_at++ % MARK_N_RANGES];
            m->n_ranges--;
            marker_scan(m, markstack_entry_lo(entry), markstack_entry_bytes(entry));
        }
        marker_flush_edges(m);
    } while (!markstack_is_empty(&m->stack));
}

/* The chunk that faulted, through the kernel, which does not mind what the program may do with the page. Of a typed
 * block all words then count. */
static bool marker_scan_current_by_kernel(struct marker *m)
{
    uint64_t entry = m->ranges[(m->range_at - 1) % MARK_N_RANGES];
    uintptr_t lo = markstack_entry_lo(entry), tags = lo & MARK_TAGS;
    size_t n_bytes = markstack_entry_bytes(entry);
    m->n_faults++;
    counter_add(COUNTER_FAULTS, 1);
    if (os_mem_read(lo - tags, m->bounce, n_bytes) != (long)n_bytes)
        return false;
    if (tags == 0)
        marker_scan_packed(m, (uintptr_t)m->bounce, n_bytes);
    else
        marker_scan_chunk(m, (uintptr_t)m->bounce, n_bytes);
    return true;
}

bool marker_run_guarded(struct marker *m)
{
    uintptr_t fault_addr;
    while (!m->is_void && !os_fault_guard(marker_run, m, &fault_addr))
        if (!marker_scan_current_by_kernel(m))
            m->is_void = true;
    return !m->is_void;
}

/* ---- walks ---- */

void marker_push_content(struct marker *m, struct span *s, uint32_t idx)
{
    if (span_is_large(s))
        markstack_push(&m->stack, marker_large_range(s));
    else
        markstack_push_small(&m->stack, span_block(s, idx) | marker_tag(s->flavor), s->size_bytes);
}

/* One block at a time and to the end, so that the stack begins empty: each walk gets further, however small
 * it is. */
static void marker_rescan_span(struct span *s, void *ctx)
{
    struct marker *m = ctx;
    if (flavor_is_noscan(s->flavor))
        return;
    for (uint32_t w = 0; w < s->n_words; w++) {
        uint64_t marked = s->words[w].mark & span_valid_mask(s, w);
        for (; marked != 0 && !m->is_void; marked &= marked - 1) {
            marker_push_content(m, s, w * 64 + bits_ctz64(marked));
            marker_run_guarded(m);
        }
    }
}

bool marker_rescan(struct marker *m)
{
    mark_stats.n_overflows++;
    m->stack.is_overflowed = false;
    heap_walk_spans(marker_rescan_span, m);
    return !m->is_void;
}

struct marker_root_walk {
    struct marker *m;
    bool is_malloc_root;
};

static void marker_root_span(struct span *s, void *ctx)
{
    struct marker_root_walk *walk = ctx;
    struct marker *m = walk->m;
    if (!flavor_is_root(s->flavor) && !(walk->is_malloc_root && s->flavor == FLAVOR_MALLOC) && !probation_is_pinned(s))
        return;
    for (uint32_t w = 0; w < s->n_words; w++) {
        uint64_t fresh = ~s->words[w].free & ~s->words[w].mark & ~span_held(s, w);
        s->words[w].mark |= fresh;
        if (flavor_is_noscan(s->flavor))
            continue;
        for (; fresh != 0; fresh &= fresh - 1)
            marker_push_content(m, s, w * 64 + bits_ctz64(fresh));
    }
    if (m->stack.top - m->stack.base > (m->stack.end - m->stack.base) / 2)
        marker_run_guarded(m);
}

void marker_root_spans(struct marker *m, bool is_malloc_root)
{
    struct marker_root_walk walk = {m, is_malloc_root};
    heap_walk_spans(marker_root_span, &walk);
}
