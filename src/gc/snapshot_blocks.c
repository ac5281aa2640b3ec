/* The blocks of a snapshot: their numbers, and what they refer to. */
#include "gc/snapshot_int.h"

#include <string.h>

#include "gc/mark.h"
#include "gc/mark_filter.h"
#include "gc/roots.h"
#include "heap/heap.h"
#include "heap/layout.h"
#include "os/os.h"

static uint64_t blocks_live(const struct span *s, uint32_t w)
{
    return s->words[w].mark & span_valid_mask(s, w);
}

static void blocks_number_span(struct span *s, void *ctx)
{
    (void)ctx;
    for (uint32_t w = 0; w < s->n_words; w++) {
        span_cold(s)[w].taken = snapshot.n_blocks;
        snapshot.n_blocks += (uint32_t)__builtin_popcountll(blocks_live(s, w));
    }
}

/* The first ordinal of each word of bits takes the place of the bits that tell of slots swept, which only the allocator
 * asks for, and which the clone has copies of. */
void snapshot_number_blocks(void)
{
    snapshot.n_blocks = 0;
    heap_walk_spans(blocks_number_span, NULL);
}

static bool blocks_ordinal(const struct heap_obj *obj, uint32_t *ordinal)
{
    const struct span *s = obj->span;
    uint32_t w = obj->idx >> 6;
    uint64_t bit = UINT64_C(1) << (obj->idx & 63);

    if ((blocks_live(s, w) & bit) == 0)
        return false;
    *ordinal = (uint32_t)span_cold(obj->span)[w].taken + (uint32_t)__builtin_popcountll(blocks_live(s, w) & (bit - 1));
    return true;
}

/* Freed blocks that are held are there as long as something refers to them. */
static bool blocks_find(uintptr_t addr, struct heap_obj *obj)
{
    enum heap_find found = heap_find_object(addr, obj);

    return found == HEAP_LIVE || found == HEAP_HELD;
}

bool snapshot_find(uint64_t word, uint32_t *ordinal)
{
    struct heap_obj obj;

    return mark_word_is_plausible(word) && blocks_find(word & MARK_ADDRESS_MASK, &obj) && blocks_ordinal(&obj, ordinal);
}

bool snapshot_find_end(uint64_t word, uint32_t *ordinal)
{
    uintptr_t end = word & MARK_ADDRESS_MASK;
    struct heap_obj obj;

    return mark_word_is_plausible(word) && blocks_find(end - 1, &obj) && obj.start + obj.size_bytes == end &&
           blocks_ordinal(&obj, ordinal);
}

/* ---- walking -------------------------------------------------------------------------------------------------- */

struct blocks_walk {
    void (*fn)(struct span *s, uint32_t idx, void *ctx);
    void *ctx;
};

static void blocks_walk_span(struct span *s, void *ctx)
{
    const struct blocks_walk *walk = ctx;

    for (uint32_t w = 0; w < s->n_words; w++)
        for (uint64_t live = blocks_live(s, w); live != 0; live &= live - 1)
            walk->fn(s, w * 64 + bits_ctz64(live), walk->ctx);
}

void snapshot_walk(void (*fn)(struct span *s, uint32_t idx, void *ctx), void *ctx)
{
    struct blocks_walk walk = {fn, ctx};

    heap_walk_spans(blocks_walk_span, &walk);
}

/* ---- references ----------------------------------------------------------------------------------------------- */

struct blocks_scan {
    uintptr_t at, end, start;
    void (*fn)(size_t offset, uint32_t ordinal, void *ctx);
    void *ctx;
    const struct span *s;
    uint32_t idx;
};

/* As the marker reads a block: in one of malloc a word may begin in the middle of one, if it is an address as it stands. */
static bool blocks_is_wanted(const struct span *s, uintptr_t at, uint64_t word)
{
    if (s->flavor == FLAVOR_GC_TYPED)
        return (layout_pointer_bits(s, at) & 1) != 0;
    return at % sizeof(word) == 0 || word <= MARK_ADDRESS_MASK;
}

static void blocks_scan(void *arg)
{
    struct blocks_scan *scan = arg;
    size_t step = scan->s->flavor == FLAVOR_MALLOC ? sizeof(uint32_t) : sizeof(uint64_t);
    uint32_t ordinal;

    while (scan->at + sizeof(uint64_t) <= scan->end) {
        uintptr_t at = scan->at;
        uint64_t word;

        memcpy(&word, (const void *)at, sizeof(word));
        scan->at += step; /* before fn: what faults is the read alone */
        if (blocks_is_wanted(scan->s, at, word) && snapshot_find(word, &ordinal))
            scan->fn(at - scan->start, ordinal, scan->ctx);
    }
}

static void blocks_distance(size_t offset, uintptr_t start, void *ctx)
{
    const struct blocks_scan *scan = ctx;
    uint32_t ordinal;

    if (snapshot_find(start, &ordinal))
        scan->fn(offset, ordinal, scan->ctx);
}

static void blocks_scan_distances(void *arg)
{
    struct blocks_scan *scan = arg;

    mark_distances_of(scan->s, scan->idx, blocks_distance, scan);
}

/* A page that cannot be read is left out; the marker read it through the kernel, so blocks may then lack a referrer. */
void snapshot_edges(struct span *s, uint32_t idx, void (*fn)(size_t offset, uint32_t ordinal, void *ctx), void *ctx)
{
    uintptr_t start = span_block(s, idx), fault_addr;
    struct blocks_scan scan = {start, start + bits_round_down(s->size_bytes, sizeof(uint64_t)), start, fn, ctx, s, idx};

    if (flavor_is_noscan(s->flavor))
        return;
    while (!os_fault_guard(blocks_scan, &scan, &fault_addr))
        scan.at = bits_round_down(scan.at, os_page_size()) + os_page_size();
    if (roots_disguises() != 0)
        os_fault_guard(blocks_scan_distances, &scan, &fault_addr);
}
