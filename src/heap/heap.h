/* The heap's facade: what api and gc use. A plain malloc that knows bits, not liveness.
 *
 * All functions run in a critical section of the caller unless said otherwise. Addresses: word -> addr -> obj, see
 * src/README.md; only heap_find_object promotes.
 */
#ifndef HEAP_HEAP_H
#define HEAP_HEAP_H

#include "heap/arena.h"
#include "heap/span.h"
#include "heap/tcache.h"

struct heap_config {
    size_t reserve_bytes; /* cap on the arena; 0: as large as the address space allows */
    enum arena_hugepages hugepages;
};
bool heap_init(const struct heap_config *config); /* idempotent; false: not even one slice could be had */
bool heap_is_ready(void);

/* A block as found by address. */
struct heap_obj {
    struct span *span;
    uintptr_t start;
    size_t size_bytes; /* usable size */
    uint32_t idx;
};
enum heap_find { HEAP_LIVE, HEAP_FREE, HEAP_TAKEN, HEAP_HELD /* freed: quarantine.h */, HEAP_NOT_A_BLOCK };
/* The block that contains addr (interior addresses count). Any thread; exact only for blocks that the caller keeps live,
 * or in a stopped world. obj is filled but for NOT_A_BLOCK. */
enum heap_find heap_find_object(uintptr_t addr, struct heap_obj *obj);

/* ---- large blocks; large.c. Any thread. ---- */
void *heap_large_alloc(size_t size_bytes, size_t align, unsigned flavor, bool *is_zero); /* NULL: no memory */
void heap_large_free(struct span *s, enum slice_tomb t); /* pre: the caller won the free bit (heap_claim_free) */
/* Grow or shrink in place, or move its pages without copying. New address (maybe the same), or NULL: the caller copies. */
void *heap_large_resize(struct span *s, size_t new_size_bytes);

/* ---- freeing, slow: every case that the fast path does not do; free.c ---- */
enum heap_free_result {
    HEAP_FREED,        /* done */
    HEAP_FREED_SUSPECT, /* done, and the collector had found it unreachable: probation.h */
    HEAP_FREED_TAKEN,  /* the collector had taken it: nothing to do but count */
    HEAP_FREE_FOREIGN, /* not in the arena */
};
enum heap_free_how { HEAP_FREE_NOW, HEAP_FREE_HELD, HEAP_FREE_MOVED /* held; content lies elsewhere now */ };
/* Aborts with the fixed line on double and invalid free. The caller dealt with specials (finalizers, pins) before. */
enum heap_free_result heap_free_as(void *p, enum heap_free_how how);
static inline enum heap_free_result heap_free(void *p)
{
    return heap_free_as(p, HEAP_FREE_NOW);
}
bool heap_is_special(uintptr_t addr); /* the span of this block start has SPAN_SPECIAL */

/* ---- spans; used inside the storey ---- */
/* From new slices, published, without owner; NULL: no memory. */
struct span *heap_new_span(unsigned class_no, unsigned flavor);
void heap_release_span(struct span *s); /* pre: retired (span_retire_empty), on no list. Its slices go back to the arena */
void heap_add_used(size_t bytes);       /* to the estimate */

/* ---- accounting ---- */
/* Bytes in windows handed out since the last recount, plus large blocks: an upper bound, cheap. */
size_t heap_used_estimate(void);
/* Exact bytes of allocated blocks that are neither dead nor suspect; walks all spans, any thread; resets the estimate. */
size_t heap_recount(void);
struct heap_use {
    size_t used_bytes, n_used;
};
/* The same, with the number of blocks, for who may ask often: in a heap beyond 256 MiB what was counted up to 32 ms ago for
 * each GiB of it, but not before the last collection; that bounds what counting costs to 4 % of the time. Any thread. */
struct heap_use heap_use_lately(uint64_t now_ns);
size_t heap_mapped_bytes(void);   /* slices in use by spans */
size_t heap_committed_bytes(void);
size_t heap_purged_bytes(void);   /* of committed: given back to the kernel */
size_t heap_span_n_used(struct span *s); /* blocks in one span, as heap_recount counts them */
void heap_set_used(size_t bytes); /* collector, after publishing dead bits */

/* ---- giving memory back ---- */
size_t heap_trim(size_t keep_bytes); /* free slices with content, and pages that no block needs, to the kernel; bytes */
void heap_decay(uint64_t now_ns);    /* same for what has been free for a while; called from slow paths */
void heap_decay_by_work(void);       /* same for what was free while much was handed out; before new spans */
/* What is free now is likely to be used again within this time; heap_decay waits for it, at most half a second. 0: nothing is known. */
void heap_expect_reuse(uint64_t within_ns);

/* ---- the collector's grip; world stopped ---- */
/* Before marking: what other threads freed and what the last cycle found dead are applied, so that `free` is exact. */
void heap_settle(void);
/* After marking, for each span: dead bits are set, marks cleared, and the span is put where its owner's next refill finds
 * it. Returns the number of blocks judged dead; *n_live is the number marked. */
uint32_t heap_publish_dead(struct span *s, uint32_t *n_live);

/* ---- what is ours; world stopped, or a single thread ---- */
struct heap_range {
    uintptr_t lo, hi;
};
/* The lowest piece of our mappings that lies above addr, cut off there. Whatever lies between these is the program's, even
 * in our window. false: none. */
bool heap_next_own(uintptr_t addr, struct heap_range *out);
/* Words of the library's data that name where the arena begins, which is its first block: no references. */
enum { HEAP_N_OWN_WORDS = 2 };
struct heap_range heap_own_words(unsigned i);

/* ---- walking; world stopped, or a caller that excludes changes ---- */
void heap_walk_spans(void (*fn)(struct span *s, void *ctx), void *ctx); /* in address order */
/* Collector, world stopped: release a span that holds no live block (all free or dead) at once. Content may be purged later.
 * false: it stays, because its owner has not yet taken it out of its inbox, who will find it empty then. */
bool heap_release_dead_span(struct span *s);
void heap_check(void); /* ASSERT_SLOW over everything: slice table, spans, lists; world stopped or single thread */

/* ---- fork ---- */
void heap_fork_child(void); /* rebuild what is derived; only the calling thread exists */

#endif
