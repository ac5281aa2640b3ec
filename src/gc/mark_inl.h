/* The marker's inner parts: queues, and the step from a word to a mark bit. For mark*.c only.
 *
 * What    word -> edge (span word prefetched) -> FIFO of edges -> mark bit set -> stack -> FIFO of ranges
 *         (lines prefetched) -> scanned -> words. Each FIFO lets a line travel while the next ones are asked
 *         for: marking waits for memory, not for instructions.
 * Invariants  all state is in struct marker, in memory, whenever memory of the program is read (mark_filter.c,
 *         mark_typed.c, marker_scan_pairs): a fault there leaves it whole.
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
    MARK_DIRECT_BYTES = 32, /* blocks up to here are read without the way through an array */
    /* how a range is read, in the lowest bits of its address; 0: it may hold packed structures */
    MARK_TYPED_TAG = 1,   /* part of a block of flavor TYPED */
    MARK_ALIGNED_TAG = 2, /* of a block of gc_malloc, where pointers lie in whole words */
    MARK_TAGS = MARK_TYPED_TAG | MARK_ALIGNED_TAG,
};

/* The block that an address lies in, not yet tested. Four in five are marked already, so what else is known of it is found
 * out later. */
struct mark_edge {
    struct span_word *word; /* holds the block's bits */
    /* bits 0 to 5: which ones; above them: how far from the start of the arena the block begins, or, in a large one, the
     * address lies */
    uint64_t place;
};
enum { MARK_EDGE_SHIFT = 6 };

/* A block that an edge leads to. */
struct mark_block {
    uintptr_t start;
    size_t n_units; /* its size in units of SIZECLASS_ALIGN; 0: a large block, whose start is not known */
    unsigned flavor;
};

enum { MARK_UNITS = SIZECLASS_ALIGN / MARKSTACK_UNIT }; /* what a slice counts in is so many units of the stack */
_Static_assert(SIZECLASS_MAX_PACKED <= MARKSTACK_SMALL_MAX_BYTES, "sizes go from slices to the stack as they are");

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
    uint32_t range_at, n_ranges; /* oldest, count; what was taken last is being read: again, after a fault */
    struct markstack stack;
    uint64_t n_scanned_bytes;
    bool is_team;   /* other markers set bits at the same time */
    bool is_shared; /* in the same words */
    bool is_oldest_first; /* as long as few ranges wait; mark_team.c */
    size_t own_bits; /* offset in struct span_word of the bits that are set; mark_team.c */
    uint32_t n_faults;
    bool is_void; /* something could not be read: the cycle must be given up */
    struct mark_edge edges[MARK_N_EDGES];
    uint64_t ranges[MARK_N_RANGES]; /* ready to be read, of at most MARK_CHUNK_BYTES each, in the stack's form */
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

/* From where a small block starts, where an address lies that is not its start. Of a large block 0. */
ALWAYS_INLINE uint64_t mark_distance_in_block(const struct slice *s, uint64_t in_span, uint32_t idx)
{
    return s->recip == 0 ? 0 : in_span - (uint64_t)idx * slice_block_size(s);
}

/* off: distance from the start of the arena, below its size. false: no span there. */
ALWAYS_INLINE bool mark_find_edge(struct mark_map map, uintptr_t off, struct mark_edge *e)
{
    const struct slice *s = &map.slices[off >> SLICE_SHIFT];
    if (s->span == 0)
        return false;
    uint64_t low, in_span = slice_offset(s, off);
    uint32_t idx = (uint32_t)bits_mul_high64(in_span, s->recip, &low);
    /* of 64 blocks, and so many bytes after the others */
    uint32_t word_offset = idx / (64 / sizeof(struct span_word)) & -(uint32_t)sizeof(struct span_word);
    e->word = (struct span_word *)(map.words_base + ((uint64_t)s->span << 6) + word_offset);
    if (UNLIKELY(low >= s->recip))
        off -= mark_distance_in_block(s, in_span, idx);
    e->place = off << MARK_EDGE_SHIFT | (idx & 63);
    return true;
}

ALWAYS_INLINE struct mark_block mark_edge_block(struct mark_map map, struct mark_edge e)
{
    uintptr_t off = mark_edge_offset(e);
    const struct slice *s = &map.slices[off >> SLICE_SHIFT];
    return (struct mark_block){map.arena_base + off, s->recip & bits_low_mask(SIZECLASS_RECIP_SIZE_BITS), s->flavor};
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

/* How blocks of the flavor are read; MARK_TAGS: not at all. malloc serves programs that nobody asked to align their
 * pointers. */
#define MARK_FLAVOR_TAG(flavor, tag) ((uint64_t)(tag) << (flavor) * MARK_TAG_BITS)
enum { MARK_TAG_BITS = 2 };
ALWAYS_INLINE uintptr_t marker_tag(unsigned flavor)
{
    const uint64_t tags =
        MARK_FLAVOR_TAG(FLAVOR_GC, MARK_ALIGNED_TAG) | MARK_FLAVOR_TAG(FLAVOR_ROOT, MARK_ALIGNED_TAG) |
        MARK_FLAVOR_TAG(FLAVOR_GC_TYPED, MARK_TYPED_TAG) | MARK_FLAVOR_TAG(FLAVOR_GC_NOSCAN, MARK_TAGS) |
        MARK_FLAVOR_TAG(FLAVOR_ROOT_NOSCAN, MARK_TAGS) | MARK_FLAVOR_TAG(FLAVOR_GC_TINY, MARK_TAGS);
    return tags >> flavor * MARK_TAG_BITS & MARK_TAGS;
}

ALWAYS_INLINE void marker_visit(struct marker *m, struct mark_map map, struct mark_edge e)
{
    if (mark_edge_bit(e, LOAD_ONCE(e.word->free) | LOAD_ONCE(e.word->mark)))
        return;
    struct mark_block b = mark_edge_block(map, e);
    uintptr_t tag = marker_tag(b.flavor);
    if (UNLIKELY(b.n_units == 0))
        marker_mark_large(m, e);
    else if (marker_set(m, e) && tag != MARK_TAGS)
        markstack_push_units(&m->stack, b.start | tag, b.n_units * MARK_UNITS);
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

/* A block of up to 80 bytes lies in two lines. */
ALWAYS_INLINE void marker_prefetch_range(uintptr_t lo, size_t n_bytes)
{
    uintptr_t last = lo + n_bytes - 1;
    __builtin_prefetch((void *)lo);
    __builtin_prefetch((void *)last);
    if (n_bytes <= MARK_LINE_BYTES + SIZECLASS_ALIGN)
        return;
    for (int i = 1; i < MARK_PREFETCH_LINES; i++) {
        uintptr_t at = lo + (uintptr_t)i * MARK_LINE_BYTES;
        __builtin_prefetch((void *)(at < last ? at : last));
    }
}

/* A fault below must find all state in memory. */
ALWAYS_INLINE void marker_begin_chunk(void)
{
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
    marker_begin_chunk();
    marker_end_chunk(m, n_bytes, mark_filter_block(&m->bounds, lo, n_bytes / sizeof(uint64_t), m->words, false));
}

/* Into the queue if it leads to a span. bounds are m's; a pass by one comparison has bit 47 clear, whatever its upper bits are. */
ALWAYS_INLINE uint64_t marker_put_word(struct marker *m, struct mark_map map, size_t arena_bytes, uint64_t word,
                                       uint64_t put_bytes)
{
    const unsigned shift = 64 - MARK_ADDRESS_BITS - 1;
    uint64_t above = (word << shift) - (map.arena_base << shift);
    struct mark_edge e;
    if (above >= arena_bytes << shift) {
        if (LIKELY(word < MARK_BOX_LEAST))
            return put_bytes;
        above = ((word & MARK_ADDRESS_MASK) - map.arena_base) << shift;
        if (!mark_word_is_plausible(word) || (word & MARK_ADDRESS_MASK) - map.arena_base >= arena_bytes)
            return put_bytes;
    }
    if (!mark_find_edge(map, above >> shift, &e))
        return put_bytes;
    marker_queue_edge(m, map, e, put_bytes);
    return put_bytes + sizeof e;
}

/* A block or a small range, of an even number of words, of which two are read before anything changes; all state is in memory again before the
 * next two are. For nodes of lists and trees 50 instructions less than by way of an array, where nothing is told apart by a branch. */
ALWAYS_INLINE void marker_scan_pairs(struct marker *m, uintptr_t lo, size_t n_bytes)
{
    const struct mark_map map = m->map;
    size_t arena_bytes = m->bounds.n_bytes;
    m->n_scanned_bytes += n_bytes;
    for (const uint64_t *p = (const uint64_t *)lo, *end = p + n_bytes / sizeof(*p); p < end; p += 2) {
        marker_begin_chunk();
        uint64_t first = LOAD_ONCE(p[0]), second = LOAD_ONCE(p[1]);
        __asm__ volatile("" ::: "memory");
        uint64_t put_bytes = marker_put_word(m, map, arena_bytes, first, m->put_bytes);
        m->put_bytes = marker_put_word(m, map, arena_bytes, second, put_bytes);
    }
}

/* As marker_scan_chunk, and words across the middle of two. */
ALWAYS_INLINE void marker_scan_packed(struct marker *m, uintptr_t lo, size_t n_bytes)
{
    marker_begin_chunk();
    marker_end_chunk(m, n_bytes, mark_filter_block(&m->bounds, lo, n_bytes / sizeof(uint64_t), m->words, true));
}

#endif
