/* The marker's inner parts: queues, and the step from a word to a mark bit. For mark*.c only.
 *
 * What    word -> edge (span word prefetched) -> FIFO of edges -> mark bit set -> stack -> FIFO of ranges
 *         (lines prefetched) -> scanned -> words. Each FIFO lets a line travel while the next ones are asked
 *         for: marking waits for memory, not for instructions.
 * Invariants  all state is in struct marker, in memory, whenever mark_filter runs: a fault there leaves it
 *         whole.
 */
#ifndef GC_MARK_INL_H
#define GC_MARK_INL_H

#include "gc/mark.h"
#include "base/check.h"
#include "gc/mark_filter.h"
#include "gc/markstack.h"
#include "heap/span.h"

/* The ranges' queue is refilled by half its length at a time: prefetches that stand close together in the
 * instruction stream overlap their page table walks, which is worth a factor 2 on a heap of 400 MB; 16 and 8
 * give most of it. */
enum {
    MARK_N_EDGES = 16,
    MARK_N_RANGES = 64,
    MARK_REFILL_BELOW = 32,
    MARK_PREFETCH_LINES = 4,
    MARK_LINE_BYTES = 64,
    /* how a range is read, in the lowest bits of its address; 0: it may hold packed structures */
    MARK_TYPED_TAG = 1,   /* part of a block of flavor TYPED */
    MARK_ALIGNED_TAG = 2, /* of a block of gc_malloc, where pointers lie in whole words */
    MARK_TAGS = MARK_TYPED_TAG | MARK_ALIGNED_TAG,
};

/* An address in a block, not yet tested. Four in five lead to blocks that are marked already, so what else is known of
 * the block is found out later. */
struct mark_edge {
    uint64_t where; /* address of the span_word that holds the block's bits; bits 58 to 63: which ones */
    uintptr_t addr;
};
#define MARK_EDGE_BIT_SHIFT 58

/* A block that an edge leads to. */
struct mark_block {
    uintptr_t start;
    size_t size_bytes; /* 0: a large block, whose start is not known */
    unsigned flavor;
};

/* A range that is ready to be read: at most MARK_CHUNK_BYTES, not sparse. */
struct mark_chunk {
    uintptr_t lo;
    size_t n_bytes;
};

/* What leads from an address to a block, as it was when the cycle began; it does not change while the world is stopped.
 * A copy stays in registers, where the marker's own fields are read again after each store. */
struct mark_map {
    uintptr_t arena_base;
    struct slice *slices;
    char *meta_base;
};

struct marker {
    struct mark_bounds bounds;
    struct mark_map map;
    uint64_t n_edges_put, n_edges_flushed; /* since mark_begin: the oldest edge of a full queue lies where the next goes */
    struct span_word none;                 /* nothing to be done: what edges lead to that are no more */
    uint32_t range_at, n_ranges; /* oldest, count */
    struct markstack stack;
    struct mark_chunk current; /* being read by mark_filter: what to read again after a fault, tags as on the stack */
    uint64_t n_scanned_bytes;
    bool is_team;   /* other markers set bits at the same time */
    bool is_shared; /* in the same words */
    bool is_oldest_first; /* as long as few ranges wait; mark_team.c */
    size_t own_bits; /* offset in struct span_word of the bits that are set; mark_team.c */
    uint32_t n_faults;
    bool is_void; /* something could not be read: the cycle must be given up */
    struct mark_edge edges[MARK_N_EDGES];
    struct mark_chunk ranges[MARK_N_RANGES];
    uint64_t words[2 * MARK_CHUNK_WORDS + 1]; /* what passed the filter */
    uint64_t bounce[MARK_CHUNK_WORDS + 1];    /* pages that had to be read through the kernel */
};

/* mark_blocks.c */
NOINLINE void marker_mark_large(struct marker *m, struct mark_edge e);
struct mark_range marker_split_sparse(struct marker *m, struct mark_range r);
bool marker_run_guarded(struct marker *m); /* until nothing is left; false: unreadable */
bool marker_rescan(struct marker *m);      /* scan all marked blocks again: the stack had been full */
void marker_root_spans(struct marker *m, bool is_malloc_root);
void marker_push_content(struct marker *m, struct span *s, uint32_t idx); /* what the block holds */
/* mark_typed.c: as marker_scan_chunk, only words that may be pointers. pre: lo has MARK_TYPED_TAG */
NOINLINE void marker_scan_typed(struct marker *m, uintptr_t lo, size_t n_bytes);
/* mark.c */
size_t mark_scratch_bytes(void); /* of SCRATCH_OTHER in this cycle; what lies behind is free */
extern struct marker *mark_main; /* in scratch memory, so that what it holds is no root */

/* ---- edges ---- */

ALWAYS_INLINE struct span_word *mark_edge_word(struct mark_edge e)
{
    return (struct span_word *)(e.where & bits_low_mask(MARK_EDGE_BIT_SHIFT));
}

ALWAYS_INLINE unsigned mark_edge_bit(struct mark_edge e)
{
    return (unsigned)(e.where >> MARK_EDGE_BIT_SHIFT);
}

ALWAYS_INLINE uint32_t mark_block_idx(const struct slice *s, uintptr_t off)
{
    return slice_block_idx(s, ((uint32_t)s->slice_no << SLICE_SHIFT) + (off & (SLICE_SIZE - 1)));
}

/* off: distance from the start of the arena, below its size. false: no span there. */
ALWAYS_INLINE bool mark_find_edge(struct mark_map map, uintptr_t off, struct mark_edge *e)
{
    const struct slice *s = &map.slices[off >> SLICE_SHIFT];
    if (s->span == 0)
        return false;
    uint32_t idx = mark_block_idx(s, off);
    struct span *span = (struct span *)(map.meta_base + ((uint64_t)s->span << 6));
    e->where = (uintptr_t)&span->words[idx >> 6] | (uint64_t)idx << MARK_EDGE_BIT_SHIFT;
    e->addr = map.arena_base + off;
    return true;
}

ALWAYS_INLINE struct mark_block mark_edge_block(struct mark_map map, struct mark_edge e)
{
    uintptr_t off = e.addr - map.arena_base;
    const struct slice *s = &map.slices[off >> SLICE_SHIFT];
    struct mark_block b = {.size_bytes = slice_block_size(s), .flavor = s->flavor};
    b.start = bits_round_down(e.addr, SLICE_SIZE) - ((uintptr_t)s->slice_no << SLICE_SHIFT) +
              mark_block_idx(s, off) * b.size_bytes;
    return b;
}

/* false: another marker was faster. */
ALWAYS_INLINE bool marker_set_shared(struct mark_edge e)
{
    uint64_t bit = UINT64_C(1) << mark_edge_bit(e);
    return (__atomic_fetch_or(&mark_edge_word(e)->mark, bit, __ATOMIC_RELAXED) & bit) == 0;
}

/* A block that two markers find at the same instant may be scanned by both, where each has bits of its own. */
ALWAYS_INLINE bool marker_set(const struct marker *m, struct mark_edge e)
{
    if (UNLIKELY(m->is_shared))
        return marker_set_shared(e);
    uint64_t *own = (uint64_t *)((char *)mark_edge_word(e) + m->own_bits);
    STORE_ONCE(*own, *own | UINT64_C(1) << mark_edge_bit(e));
    return true;
}

/* How blocks of the flavor are read. malloc serves programs that nobody asked to align their pointers. */
ALWAYS_INLINE uintptr_t marker_tag(unsigned flavor)
{
    if (flavor == FLAVOR_MALLOC)
        return 0;
    return flavor == FLAVOR_GC_TYPED ? MARK_TYPED_TAG : MARK_ALIGNED_TAG;
}

ALWAYS_INLINE void marker_visit(struct marker *m, struct mark_map map, struct mark_edge e)
{
    const struct span_word *w = mark_edge_word(e);
    if (((LOAD_ONCE(w->free) | LOAD_ONCE(w->mark)) >> mark_edge_bit(e)) & 1)
        return;
    struct mark_block b = mark_edge_block(map, e);
    if (UNLIKELY(b.size_bytes == 0))
        marker_mark_large(m, e);
    else if (marker_set(m, e) && !flavor_is_noscan(b.flavor))
        markstack_push_small(&m->stack, b.start | marker_tag(b.flavor), b.size_bytes);
}

/* Field by field, by loads that the compiler may not join: 16 bytes that were just stored as two eights can only be loaded
 * when both stores have reached the cache (it was 40 % of marking small nodes), and have to be taken apart again. */
ALWAYS_INLINE struct mark_edge marker_exchange_edge(struct marker *m, uint64_t place, uint64_t where, uintptr_t addr)
{
    struct mark_edge *slot = &m->edges[place % MARK_N_EDGES];
    struct mark_edge old = {LOAD_ONCE(slot->where), LOAD_ONCE(slot->addr)};
    slot->where = where;
    slot->addr = addr;
    return old;
}

/* The n_put-th edge since mark_begin, for the oldest in the queue. */
ALWAYS_INLINE void marker_queue_edge(struct marker *m, struct mark_map map, struct mark_edge e, uint64_t n_put)
{
    __builtin_prefetch(mark_edge_word(e));
    marker_visit(m, map, marker_exchange_edge(m, n_put, e.where, e.addr));
}

ALWAYS_INLINE void marker_put_edge(struct marker *m, struct mark_edge e)
{
    marker_queue_edge(m, m->map, e, m->n_edges_put++);
}

/* pre: the first n of m->words passed the filter. */
ALWAYS_INLINE void marker_put_words(struct marker *m, uint32_t n)
{
    const struct mark_map map = m->map;
    uint64_t n_put = m->n_edges_put;
    for (const uint64_t *at = m->words, *end = at + n; at < end; at++) {
        struct mark_edge e;
        if (LIKELY(mark_word_is_plausible(*at)) &&
            mark_find_edge(map, (*at & MARK_ADDRESS_MASK) - map.arena_base, &e))
            marker_queue_edge(m, map, e, n_put++);
    }
    m->n_edges_put = n_put;
}

/* Whether a stack word at the end of a block keeps it although another block begins there, which is what the
 * word most likely means. Not a small block: loops over those of gc_malloc are unrolled and keep the start, the end of what
 * malloc was asked for lies inside, and the neighbour of a node that main holds would stay for ever, with a whole tree. */
ALWAYS_INLINE bool mark_end_keeps(unsigned flavor, size_t size_bytes)
{
    return size_bytes > MARK_END_SMALL_BYTES || (flavor == FLAVOR_MALLOC && LOAD_ONCE(mark_has_full_blocks));
}

/* ---- ranges ---- */

ALWAYS_INLINE void marker_put_chunk(struct marker *m, uintptr_t lo, size_t n_bytes)
{
    struct mark_chunk *c = &m->ranges[(m->range_at + m->n_ranges) % MARK_N_RANGES];
    c->lo = lo;
    c->n_bytes = n_bytes;
    m->n_ranges++;
}

ALWAYS_INLINE void marker_prefetch_range(struct mark_range r)
{
    uintptr_t last = r.lo + r.n_bytes - 1;
    __builtin_prefetch((void *)r.lo);
    for (int i = 1; i < MARK_PREFETCH_LINES; i++) {
        uintptr_t at = r.lo + (uintptr_t)i * MARK_LINE_BYTES;
        __builtin_prefetch((void *)(at < last ? at : last));
    }
}

/* What is about to be read; a fault below must find all state in memory. */
ALWAYS_INLINE void marker_begin_chunk(struct marker *m, uintptr_t lo, size_t n_bytes)
{
    m->current.lo = lo;
    m->current.n_bytes = n_bytes;
    __asm__ volatile("" ::: "memory");
}

ALWAYS_INLINE void marker_end_chunk(struct marker *m, size_t n_bytes, uint32_t n_words)
{
    __asm__ volatile("" ::: "memory");
    m->n_scanned_bytes += n_bytes;
    marker_put_words(m, n_words);
}

/* Whole words. pre: n_bytes is a multiple of 8, at most MARK_CHUNK_BYTES. Reads memory: may fault. */
ALWAYS_INLINE void marker_scan_chunk(struct marker *m, uintptr_t lo, size_t n_bytes)
{
    marker_begin_chunk(m, lo | MARK_ALIGNED_TAG, n_bytes);
    marker_end_chunk(m, n_bytes, mark_filter_block(m->bounds, lo, n_bytes / sizeof(uint64_t), m->words, false));
}

/* As marker_scan_chunk, and words across the middle of two. */
ALWAYS_INLINE void marker_scan_packed(struct marker *m, uintptr_t lo, size_t n_bytes)
{
    marker_begin_chunk(m, lo, n_bytes);
    marker_end_chunk(m, n_bytes, mark_filter_block(m->bounds, lo, n_bytes / sizeof(uint64_t), m->words, true));
}

#endif
