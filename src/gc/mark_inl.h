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
    struct span_word *word; /* holds the block's bits */
    uint64_t place;         /* bits 0 to 5: which ones; above them: distance from the start of the arena */
};
enum { MARK_EDGE_SHIFT = 6 };

/* A block that an edge leads to. */
struct mark_block {
    uintptr_t start;
    size_t n_units; /* its size in units of the stack; 0: a large block, whose start is not known */
    unsigned flavor;
};

/* A range that is ready to be read: at most MARK_CHUNK_BYTES, not sparse. */
struct mark_chunk {
    uintptr_t lo;
    size_t n_bytes;
};

_Static_assert((int)MARKSTACK_UNIT == SIZECLASS_ALIGN, "sizes go from slices to the stack as they are");

/* What leads from an address to a block, as it was when the cycle began; it does not change while the world is stopped.
 * A copy stays in registers, where the marker's own fields are read again after each store. */
struct mark_map {
    uintptr_t arena_base;
    struct slice *slices;
    char *words_base; /* where the words of bits of the descriptor with reference 0 begin */
};

struct marker {
    struct mark_bounds bounds;
    struct mark_map map;
    uint64_t put_bytes, flushed_bytes; /* of edges, since mark_begin: the oldest of a full queue lies where the next goes */
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

/* The block's own of the word's bits. */
ALWAYS_INLINE bool mark_edge_bit(struct mark_edge e, uint64_t bits)
{
    return (bits >> (e.place & 63)) & 1;
}

ALWAYS_INLINE uintptr_t mark_edge_offset(struct mark_edge e)
{
    return e.place >> MARK_EDGE_SHIFT;
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
    /* of 64 blocks, and so many bytes after the others */
    uint32_t word_offset = idx / (64 / sizeof(struct span_word)) & -(uint32_t)sizeof(struct span_word);
    e->word = (struct span_word *)(map.words_base + ((uint64_t)s->span << 6) + word_offset);
    e->place = off << MARK_EDGE_SHIFT | (idx & 63);
    return true;
}

ALWAYS_INLINE struct mark_block mark_edge_block(struct mark_map map, struct mark_edge e)
{
    uintptr_t off = mark_edge_offset(e);
    const struct slice *s = &map.slices[off >> SLICE_SHIFT];
    struct mark_block b = {.n_units = s->recip & bits_low_mask(SIZECLASS_RECIP_SIZE_BITS), .flavor = s->flavor};
    b.start = map.arena_base + bits_round_down(off, SLICE_SIZE) - ((uintptr_t)s->slice_no << SLICE_SHIFT) +
              mark_block_idx(s, off) * b.n_units * SIZECLASS_ALIGN;
    return b;
}

/* false: another marker was faster. */
ALWAYS_INLINE bool marker_set_shared(struct mark_edge e)
{
    uint64_t bit = UINT64_C(1) << (e.place & 63);
    return (__atomic_fetch_or(&e.word->mark, bit, __ATOMIC_RELAXED) & bit) == 0;
}

/* A block that two markers find at the same instant may be scanned by both, where each has bits of its own. */
ALWAYS_INLINE bool marker_set(const struct marker *m, struct mark_edge e)
{
    if (UNLIKELY(m->is_shared))
        return marker_set_shared(e);
    uint64_t *own = (uint64_t *)((char *)e.word + m->own_bits);
    STORE_ONCE(*own, *own | UINT64_C(1) << (e.place & 63));
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
    if (mark_edge_bit(e, LOAD_ONCE(e.word->free) | LOAD_ONCE(e.word->mark)))
        return;
    struct mark_block b = mark_edge_block(map, e);
    if (UNLIKELY(b.n_units == 0))
        marker_mark_large(m, e);
    else if (marker_set(m, e) && !flavor_is_noscan(b.flavor))
        markstack_push_units(&m->stack, b.start | marker_tag(b.flavor), b.n_units);
}

/* Field by field, by loads that the compiler may not join: 16 bytes that were just stored as two eights can only be loaded
 * when both stores have reached the cache (it was 40 % of marking small nodes), and have to be taken apart again. */
ALWAYS_INLINE struct mark_edge marker_exchange_edge(struct marker *m, uint64_t at_bytes, struct mark_edge e)
{
    struct mark_edge *slot = (struct mark_edge *)((char *)m->edges + at_bytes % sizeof m->edges);
    struct mark_edge old = {LOAD_ONCE(slot->word), LOAD_ONCE(slot->place)};
    STORE_ONCE(slot->word, e.word);
    STORE_ONCE(slot->place, e.place);
    return old;
}

/* e, for the oldest in the queue. */
ALWAYS_INLINE void marker_queue_edge(struct marker *m, struct mark_map map, struct mark_edge e, uint64_t put_bytes)
{
    __builtin_prefetch(e.word);
    marker_visit(m, map, marker_exchange_edge(m, put_bytes, e));
}

ALWAYS_INLINE void marker_put_edge(struct marker *m, struct mark_edge e)
{
    marker_queue_edge(m, m->map, e, m->put_bytes);
    m->put_bytes += sizeof e;
}

/* pre: the first n of m->words passed the filter. */
ALWAYS_INLINE void marker_put_words(struct marker *m, uint32_t n)
{
    const struct mark_map map = m->map;
    uint64_t put_bytes = m->put_bytes;
    for (const uint64_t *at = m->words, *end = at + n; at < end; at++) {
        struct mark_edge e;
        if (LIKELY(mark_word_is_plausible(*at)) &&
            mark_find_edge(map, (*at & MARK_ADDRESS_MASK) - map.arena_base, &e)) {
            marker_queue_edge(m, map, e, put_bytes);
            put_bytes += sizeof e;
        }
    }
    m->put_bytes = put_bytes;
}

/* Whether a stack word at the end of a block keeps it although another block begins there, which is what the
 * word most likely means. Not a small block: loops over those of gc_malloc are unrolled and keep the start, the end of what
 * malloc was asked for lies inside, and the neighbour of a node that main holds would stay for ever, with a whole tree. */
ALWAYS_INLINE bool mark_end_keeps(unsigned flavor, size_t size_bytes)
{
    return size_bytes > MARK_END_SMALL_BYTES || (flavor == FLAVOR_MALLOC && LOAD_ONCE(mark_has_full_blocks));
}

/* ---- ranges ---- */

/* Number place, from range_at on. */
ALWAYS_INLINE void marker_put_chunk(struct marker *m, uint32_t place, uintptr_t lo, size_t n_bytes)
{
    struct mark_chunk *c = &m->ranges[place % MARK_N_RANGES];
    c->lo = lo;
    c->n_bytes = n_bytes;
}

/* A block of up to 80 bytes lies in two lines. */
ALWAYS_INLINE void marker_prefetch_range(struct mark_range r)
{
    uintptr_t last = r.lo + r.n_bytes - 1;
    __builtin_prefetch((void *)r.lo);
    __builtin_prefetch((void *)last);
    if (r.n_bytes <= MARK_LINE_BYTES + SIZECLASS_ALIGN)
        return;
    for (int i = 1; i < MARK_PREFETCH_LINES; i++) {
        uintptr_t at = r.lo + (uintptr_t)i * MARK_LINE_BYTES;
        __builtin_prefetch((void *)(at < last ? at : last));
    }
}

/* What is about to be read; a fault below must find all state in memory. */
ALWAYS_INLINE void marker_begin_chunk(struct marker *m, uintptr_t lo, size_t n_bytes)
{
    STORE_ONCE(m->current.lo, lo);
    STORE_ONCE(m->current.n_bytes, n_bytes);
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
    marker_end_chunk(m, n_bytes, mark_filter_block(&m->bounds, lo, n_bytes / sizeof(uint64_t), m->words, false));
}

/* As marker_scan_chunk, and words across the middle of two. */
ALWAYS_INLINE void marker_scan_packed(struct marker *m, uintptr_t lo, size_t n_bytes)
{
    marker_begin_chunk(m, lo, n_bytes);
    marker_end_chunk(m, n_bytes, mark_filter_block(&m->bounds, lo, n_bytes / sizeof(uint64_t), m->words, true));
}

#endif
