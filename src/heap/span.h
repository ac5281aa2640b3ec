/* Spans, the slice table, and the bits of blocks.
 *
 * What    the vocabulary of the whole heap: where an address belongs, and what state its block is in. See src/README.md
 *         for the bits, flags and ownership rules; this file is their one definition.
 * Owns    the layout of struct slice and struct span. Outside storey heap fields are touched by the marker, and read by
 *         realloc.c, gc_walk.c and the fast paths.
 * Not here  where slices come from (arena.h), who owns a span (tcache.h, central.h).
 */
#ifndef HEAP_SPAN_H
#define HEAP_SPAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/bits.h"
#include "base/check.h"
#include "base/compiler.h"
#include "base/list.h"
#include "heap/sizeclass.h"

enum { SLICE_SHIFT = 16, SLICE_SIZE = 1 << SLICE_SHIFT };

/* What kind of blocks a span holds: fixed for the life of the span. */
enum heap_flavor {
    FLAVOR_MALLOC,      /* malloc family: conservative; a root in mode explicit */
    FLAVOR_GC,          /* gc_malloc: conservative */
    FLAVOR_GC_NOSCAN,   /* gc_malloc(GC_NOSCAN): holds no pointers, never scanned */
    FLAVOR_ROOT,        /* GC_ROOT: always reachable, scanned */
    FLAVOR_ROOT_NOSCAN, /* GC_ROOT | GC_NOSCAN: always reachable, not scanned */
    FLAVOR_GC_TYPED,    /* gc_new: scanned where its layout says so (heap/layout.h) */
    FLAVOR_GC_TINY,     /* not scanned; a block of 16 bytes holds small parts, and none is freed alone (heap/layout.h) */
    FLAVOR_N
};
enum {
    FLAVORS_NOSCAN = 1 << FLAVOR_GC_NOSCAN | 1 << FLAVOR_ROOT_NOSCAN | 1 << FLAVOR_GC_TINY,
};
ALWAYS_INLINE bool flavor_is_noscan(unsigned f)
{
    return (FLAVORS_NOSCAN >> f) & 1;
}
ALWAYS_INLINE bool flavor_is_root(unsigned f)
{
    return f == FLAVOR_ROOT || f == FLAVOR_ROOT_NOSCAN;
}

/* One per 64 KiB of arena; all the marker and free need to turn an address into a block.
 * span 0 is the nil span: nothing lives here, and `flavor` then holds the tomb. */
struct slice {
    uint64_t recip;     /* sizeclass_recip; 0 for a large block: index and size are always 0 */
    _Alignas(8) uint32_t span; /* meta_ref of the descriptor */
    union {
        struct {
            uint8_t taken_in;   /* cycle in which the collector last released a span with blocks here; 0 never. See slice_is_doubtful */
            uint8_t flavor;
            uint16_t slice_no;  /* this slice's place in its span; saturates at 65535 (large blocks only) */
        };
        uint32_t place; /* slice_no in the upper half: an offset in the span with two bytes of something else (slice_offset) */
    };
};
_Static_assert(sizeof(struct slice) == 16, "four slices to a quarter line; the marker counts on it");
_Static_assert(offsetof(struct slice, span) == 8, "span, place and flavor change in one store of 8 bytes");
enum slice_tomb { TOMB_NONE = 0, TOMB_FREED, TOMB_FOREIGN, TOMB_TAKEN = 8 /* plus the flavor of what was taken */ };

enum span_flag {
    SPAN_FULL = 1,
    SPAN_UNSWEPT = 2,
    SPAN_TAKEN = 4,
    SPAN_REMOTE = 8,
    SPAN_SPECIAL = 16,
    SPAN_LARGE = 32,
    SPAN_SUSPECT = 64,
    SPAN_SAMPLED = 128,
    SPAN_TINY = 256,
    SPAN_HOLDS = 512,
    SPAN_FLAGS = 1023,      /* all of them */
    SPAN_GENERATION = 1024, /* one step of the generation */
};

struct span_word {
    uint64_t free; /* owner, plain; see bits in src/README.md */
    uint64_t mark; /* markers, atomic */
};
/* Away from the descriptor, with the remote bits: where nothing is collected and no thread frees another's blocks, none of it is touched. */
struct span_cold {
    uint64_t dead, taken; /* owner, or collector while stopped */
    uint64_t suspect;     /* set by the collector while stopped, cleared by whoever uses the block; probation.h */
    uint64_t held;        /* freed, and not yet used again, atomic; quarantine.h */
};

struct tcache;
struct inbox;
struct heap_type;
struct span {
    /* First line: what a free reads, the owner's and anybody's. Written when the span changes hands, lists or flags. */
    struct tcache *fast_owner; /* the owner while flags == 0, else NULL */
    uint32_t n_blocks;
    uint32_t n_words;
    _Atomic uint64_t flags;    /* enum span_flag, and above them the generation: how often the descriptor was retired */
    struct tcache *_Atomic owner; /* NULL: central */
    uint64_t *remote;          /* n_words, own cache lines; atomic OR by any thread. Before: the quiet period; behind: span_cold */
    uintptr_t start;           /* address of the first slice */
    struct inbox *_Atomic inbox; /* where a remote freer announces the span */
    uint32_t n_slices;
    uint8_t class_no, flavor;
    uint8_t list_no;           /* enum span_list: which list `link` is on */
    uint8_t is_ready;          /* set last when created: fork_child trusts only ready spans */
    /* Second line: what the owner writes whenever it goes on to another word of free bits. */
    size_t size_bytes;         /* of a block; for a large one its usable size, constant between reallocs */
    struct list link;          /* owner's or central's list */
    struct span *_Atomic inbox_next;
    uint32_t cursor;           /* word at which the next refill looks first */
    uint32_t n_live_last;      /* blocks marked by the last cycle */
    uint32_t n_idle_looks;     /* looks for empty spans since a window was last opened here */
    uint16_t n_used_trimmed;   /* blocks in use when it was last trimmed as one of a dormant class; at first and after use n_blocks */
    uint16_t looked_cursor;    /* the window at the last look, while this is the current span, ... */
    uint64_t looked_bits;      /* ... and its free slots */
    union {
        uint64_t *layout;           /* flavors TYPED and TINY: see heap/layout.h; owner */
        const struct heap_type *type; /* large block of flavor TYPED */
    };
    struct span_word words[] __attribute__((aligned(16))); /* n_words */
};

enum span_list { LIST_NONE, LIST_CURRENT, LIST_AVAILABLE, LIST_FULL, LIST_CENTRAL, LIST_LARGE, LIST_STASH };

/* Read-mostly; one cache line. arena_bytes is 0 until the heap exists, so every address is foreign. */
struct heap_map {
    uintptr_t arena_base;
    _Atomic uintptr_t arena_bytes; /* committed; only grows. Release: pairs with readers that index the table */
    struct slice *slices;
    char *meta_base;
    uintptr_t window_lo, window_hi; /* all that is ours lies between; what is not (heap_next_own) is the program's */
    uint8_t cycle_no;               /* 1 to 255, round and round; changes while the world is stopped */
} __attribute__((aligned(64)));
extern struct heap_map heap_map;

enum { SPAN_QUIET_WORDS = 1, SPAN_LINE_WORDS = 8 };
ALWAYS_INLINE struct span_cold *span_cold(struct span *s)
{
    return (struct span_cold *)(s->remote - SPAN_QUIET_WORDS + bits_round_up(SPAN_QUIET_WORDS + s->n_words, SPAN_LINE_WORDS));
}
ALWAYS_INLINE struct span *span_of_ref(uint32_t ref)
{
    return (struct span *)(heap_map.meta_base + ((uint64_t)ref << 6));
}
/* No span any more, and the collector took its last blocks. */
ALWAYS_INLINE bool slice_is_taken(const struct slice *e)
{
    return e->span == 0 && e->flavor >= TOMB_TAKEN;
}
/* Block size in bytes; 0 for a large block. */
ALWAYS_INLINE uint32_t slice_block_size(const struct slice *e)
{
    return (uint32_t)(e->recip & bits_low_mask(SIZECLASS_RECIP_SIZE_BITS)) * SIZECLASS_ALIGN;
}
ALWAYS_INLINE uint32_t slice_block_idx(const struct slice *e, uint64_t offset_in_span)
{
    return (uint32_t)((unsigned __int128)offset_in_span * e->recip >> 64);
}
/* How far addr lies from the start of the span that the slice of addr belongs to. Small blocks. */
ALWAYS_INLINE uint64_t slice_offset(const struct slice *e, uintptr_t addr)
{
    _Static_assert(SLICE_SHIFT == 16, "a slice is what 16 bits count");
#if defined(__x86_64__)
    uint64_t offset = e->place;
    __asm__("movw %w[addr], %w[offset]" : [offset] "+r"(offset) : [addr] "r"(addr)); /* one instruction where the compiler makes three */
    return offset;
#else
    return (uint16_t)addr + ((uint64_t)e->slice_no << SLICE_SHIFT);
#endif
}
/* As slice_block_idx; *is_start: a small block's slot starts there. Never for a large block. */
ALWAYS_INLINE uint32_t slice_block_at(const struct slice *e, uint64_t offset_in_span, bool *is_start)
{
    uint64_t low, idx = bits_mul_high64(offset_in_span, e->recip, &low);
    *is_start = low < e->recip;
    return (uint32_t)idx;
}
ALWAYS_INLINE bool slice_is_block_start(const struct slice *e, uint64_t offset_in_span)
{
    bool is_start;
    slice_block_at(e, offset_in_span, &is_start);
    return is_start;
}
/* pre: addr in the committed arena. */
ALWAYS_INLINE struct slice *slice_of(uintptr_t addr)
{
    return &heap_map.slices[(addr - heap_map.arena_base) >> SLICE_SHIFT];
}
ALWAYS_INLINE bool heap_contains(uintptr_t addr)
{
    return addr - heap_map.arena_base < __atomic_load_n((const uintptr_t *)&heap_map.arena_bytes, __ATOMIC_RELAXED);
}
/* The collector took blocks here, released their span, and the memory is used for others. A late free of a block that was
 * taken cannot be told from misuse of those others; for some cycles it gets the benefit of the doubt. */
enum { SLICE_DOUBT_CYCLES = 8 };
ALWAYS_INLINE bool slice_is_doubtful(uintptr_t addr)
{
    uint8_t taken_in = LOAD_ONCE(slice_of(addr)->taken_in);
    return taken_in != 0 && (uint8_t)(heap_map.cycle_no - taken_in) < SLICE_DOUBT_CYCLES;
}
ALWAYS_INLINE bool span_is_large(const struct span *s)
{
    return s->class_no == SIZECLASS_LARGE;
}
ALWAYS_INLINE uintptr_t span_block(const struct span *s, uint32_t idx)
{
    return s->start + (size_t)idx * s->size_bytes;
}
ALWAYS_INLINE uint32_t span_flags(const struct span *s)
{
    return (uint32_t)atomic_load(&s->flags) & SPAN_FLAGS;
}
/* Any thread that holds a block here; the owner may sweep meanwhile. */
ALWAYS_INLINE bool span_is_dead(const struct span *s, uint32_t idx)
{
    if ((span_flags(s) & SPAN_UNSWEPT) == 0)
        return false;
    return (__atomic_load_n(&span_cold((struct span *)s)[idx >> 6].dead, __ATOMIC_RELAXED) >> (idx & 63)) & 1;
}
/* Blocks of word w that are freed and held back. Any thread, as span_is_dead. */
ALWAYS_INLINE uint64_t span_held(const struct span *s, uint32_t w)
{
    if ((span_flags(s) & SPAN_HOLDS) == 0)
        return 0;
    return __atomic_load_n(&span_cold((struct span *)s)[w].held, __ATOMIC_RELAXED);
}
ALWAYS_INLINE bool span_is_held(const struct span *s, uint32_t idx)
{
    return (span_held(s, idx >> 6) >> (idx & 63)) & 1;
}
/* Any thread. Acquire: pairs with span_sweep, which sets `taken` first. */
ALWAYS_INLINE bool span_is_free(const struct span *s, uint32_t idx)
{
    return (__atomic_load_n(&s->words[idx >> 6].free, __ATOMIC_ACQUIRE) >> (idx & 63)) & 1;
}
/* Owner: a plain store to a word that others may read. */
ALWAYS_INLINE void span_set_free(struct span_word *word, uint64_t free_bits)
{
    __atomic_store_n(&word->free, free_bits, __ATOMIC_RELAXED);
}
/* Its slots are in use again, so whoever looks for idle pages begins anew. Owner. */
ALWAYS_INLINE void span_note_use(struct span *s)
{
    s->n_idle_looks = 0;
    s->n_used_trimmed = (uint16_t)s->n_blocks;
    s->looked_cursor = UINT16_MAX;
}
/* A number that only grows. Odd: since it was written no free bit was set, and none will be before it changes. Any thread. */
ALWAYS_INLINE uint64_t span_quiet_period(const struct span *s)
{
    return __atomic_load_n(&s->remote[-1], __ATOMIC_ACQUIRE);
}
/* Valid bits of word w. */
ALWAYS_INLINE uint64_t span_valid_mask(const struct span *s, uint32_t w)
{
    return bits_low_mask(s->n_blocks - w * 64);
}

/* ---- creating and destroying; span.c ---- */
/* Descriptor for a small-class span (all slots free) or a large block (allocated) at start; not yet in the slice table. */
struct span *span_new(unsigned class_no, unsigned flavor, uintptr_t start, uint32_t n_slices, size_t large_size_bytes);
void span_publish(struct span *s);                     /* enters the slice table: from now on addresses resolve */
void span_unpublish(struct span *s, enum slice_tomb t); /* leaves the slice table, tombs stay */
/* The end of a small-class span, decided in one step against whoever has set a remote bit and not yet told. true: it was
 * empty, and from now on nobody else touches it. false: a block or a message is left. Owner, or whoever holds the lock of
 * an orphan's class. */
bool span_retire_empty(struct span *s);
static inline uint64_t span_generation(const struct span *s) /* how often that was done to this descriptor */
{
    return atomic_load_explicit(&s->flags, memory_order_relaxed) / SPAN_GENERATION;
}
void span_delete(struct span *s);                       /* gives the descriptor back */
/* Unit 0 of meta: what slices without a span resolve to. Every slot is free, so nobody marks or frees anything in it. It is
 * reserved at the start, and written before there are slices: a program that never allocates touches nothing of the window. */
bool span_reserve_nil(void); /* the first of all uses of meta. false: no memory */
void span_fill_nil(void);    /* before the arena grows for the first time */

/* ---- flags ---- */
void span_flag_set(struct span *s, uint32_t flag);   /* any thread: flag, then fast_owner = NULL */
void span_flag_clear(struct span *s, uint32_t flag); /* owner: clear, then fast_owner = owner where none is left */
void span_own(struct span *s, struct tcache *owner, struct inbox *inbox);

/* ---- bits; owner, or collector while stopped ---- */
bool span_sweep(struct span *s);              /* applies `dead`; true: slots were won */
uint32_t span_free_count(const struct span *s); /* popcount of free */
bool span_is_empty(const struct span *s);       /* every slot free or dead */
/* Take the remote bits into `free`. A bit that is already free is a second free: check_misuse. */
void span_drain(struct span *s);
/* Free bits are set from now on, maybe by the owner's fast path, which tells nobody. Before SPAN_REMOTE is cleared, and before any bit
 * is set while it is not. */
void span_end_quiet(struct span *s);
/* pre: SPAN_REMOTE, so that each free of the owner's takes the slow path. The owner, whose fast path therefore is not on its way. */
void span_begin_quiet(struct span *s);
/* A look at a span that has free slots and is not in use just now: what lies idle from one look to the next loses the
 * pages that no block needs, after 2, 4, 8 ... looks. Owner, or the lock of an orphan's class, until span_trim_rest. */
struct os_vm_drops;
void span_look_idle(struct span *s, struct os_vm_drops *drops);
/* The same where the class hands out nothing: whenever a quarter of the blocks that were left is gone. */
void span_look_dormant(struct span *s, struct os_vm_drops *drops);
/* A look at a current span. true: nothing was handed out from it for some looks, as far as its window tells. Owner. */
bool span_is_dormant(struct span *s);
void span_trim(struct span *s, struct os_vm_drops *drops); /* the same at once, of a span in use, too */
/* Bytes of blocks in use in the slices of [lo, hi), of each span its share, and more_each for every block. An estimate, any thread. */
size_t span_bytes_between(uintptr_t lo, uintptr_t hi, size_t more_each);
size_t span_trim_rest(struct os_vm_drops *drops); /* after the last of some spans: bytes given to the kernel */
/* Collector, stopped, marking done: dead = ~free & ~mark, mark cleared. Where is_careful, only what was a suspect is dead,
 * and the rest becomes suspect. Returns blocks judged dead, sets the count of those that were marked. */
uint32_t span_publish_dead(struct span *s, bool is_careful, uint32_t *n_live);
uint32_t span_count_suspects(struct span *s);
void span_clear_marks(struct span *s);
bool span_drop_taken(struct span *s, uint32_t idx); /* the slot's taken bit is cleared; true: it was set */
void span_pool_fork_child(void);        /* resets the lock of the pool of descriptors */
void span_check(struct span *s);        /* ASSERT_SLOW: the counting identities */

#endif
