/* What a thread allocates from and frees to without a lock or an atomic operation.
 *
 * What    one bin per (flavor, class): a window onto one word of free bits of one span, and the lists of the spans that
 *         this thread owns.
 * Locks   none for the owner inside a critical section; the collector may change everything while the world is stopped.
 * Not here  the few instructions that use a bin (api/malloc_fast.c), the policy when all is used up (api/alloc_slow.c).
 */
#ifndef HEAP_TCACHE_H
#define HEAP_TCACHE_H

#include <sys/types.h>

#include "heap/span.h"

struct tcache_bin {
    uint64_t *word;  /* &span->words[w].free, or &tcache_no_word */
    uintptr_t base;  /* address of the block of bit 0 of that word */
    uint32_t size;
    uint16_t n_due;  /* samples that the next block stands for; sample.h */
    uint8_t hint;    /* bit that malloc tries first, below 64: the lowest that was left when it last took one */
    bool is_veiled;  /* word is &tcache_no_word though the span has a window */
    struct span *span; /* LIST_CURRENT, or NULL */
};
_Static_assert(sizeof(struct tcache_bin) == 32, "tables hold bin offsets of 32 bytes");

struct tcache_lists {
    struct list available; /* some slot was free when the span came here; first in, first out */
    struct list full;
};

struct inbox {
    struct span *_Atomic head; /* stack through span->inbox_next; INBOX_CLOSED when its thread has ended */
};
#define INBOX_CLOSED ((struct span *)1)

/* Freed large blocks, kept for the next ones; stash.h */
enum { STASH_SPAN_SLICES = 4 };
struct stash {
    struct list spans[STASH_SPAN_SLICES]; /* LIST_STASH; [i]: of i + 1 slices */
    uint32_t n_slices;                    /* of all */
};

/* What a sender knows of 64 blocks of another thread's, one entry for each class (modulo the number): these were handed out, in this
 * quiet period of their span. */
struct inbox_seen {
    const uint64_t *word; /* of span->remote; NULL: nothing is known */
    uint64_t period;
    uint64_t handed_out;
};
enum { INBOX_SEEN_N = 32 };
extern const struct inbox_seen inbox_seen_nothing[INBOX_SEEN_N];
struct tcache;
void inbox_begin_to_see(struct tcache *tc); /* its thread's, which stays with it */

extern const struct tcache_lists tcache_no_lists[SIZECLASS_N];

enum { TCACHE_N_PACKED = SIZECLASS_N - SIZECLASS_N_SMALL };

/* Bins and spans of one flavor. */
struct tcache_set {
    struct tcache_bin bins[SIZECLASS_N_SMALL]; /* first: the fast path indexes from the cache's address */
    struct tcache_bin *packed;      /* [TCACHE_N_PACKED], of the classes beyond; NULL until one of them is refilled: hardly ever */
    struct tcache_lists *lists;     /* [SIZECLASS_N]; tcache_no_lists, which are never written, until a span comes to one of them */
    struct tcache_lists *own_lists; /* what they are from then on */
};

struct tcache {
    struct tcache_set malloc_set; /* FLAVOR_MALLOC; at offset 0 */
    int64_t ticks;                /* counts down on each fast free; below 0: tcache_tick */
    struct tcache_set *sets[FLAVOR_N]; /* [FLAVOR_MALLOC] is &malloc_set; others from meta at first use */
    uintptr_t tiny_at, tiny_end;  /* room for parts in the block of FLAVOR_GC_TINY in use */
    uint8_t *tiny_parts;          /* its byte in the span's layout */
    struct inbox inbox;
    struct stash stash;
    struct inbox_seen *seen;      /* [INBOX_SEEN_N], inbox_seen_nothing until the thread frees a block of another's */
    struct tcache *next;          /* all caches ever made: they are recycled, never unmapped; CACHES lock */
    struct tcache *next_parked;   /* CACHES lock */
    bool is_active;               /* it may own spans: a thread has it, or it is parked, or on its way from one to the other */
    bool is_parked;               /* its thread has ended, and the next one to begin gets it as it is */
    pid_t tid;                    /* its thread; 0 while it is parked */
    struct os_thread *_Atomic thread; /* the thread's record, once it has one; records are never unmapped */
    uint64_t next_decay_ns;
    size_t used_delta_bytes;      /* not yet added to the heap's estimate */
    uint32_t n_refills;
    uint32_t n_new_slices; /* since the last look for empty spans */
    uint32_t n_slices_seen; /* by that look */
    int64_t ticks_seen;
    /* sampling; sample.h */
    uint32_t sample_due;     /* of the block just taken */
    int64_t sample_left;     /* bytes to the next sample */
    uint64_t sample_rate;    /* that sample_left was drawn for */
    uint64_t sample_random;
    struct os_walk_memo *walks; /* the api's; meta memory, stays with the cache; NULL: no sample yet */
};
_Static_assert(offsetof(struct tcache, malloc_set) == 0, "the fast path adds bin offsets to the cache's address");

ALWAYS_INLINE unsigned tcache_n_bins(const struct tcache_set *set)
{
    return set->packed == NULL ? SIZECLASS_N_SMALL : SIZECLASS_N;
}
/* pre: class_no < tcache_n_bins */
ALWAYS_INLINE struct tcache_bin *tcache_bin_of(struct tcache_set *set, unsigned class_no)
{
    return class_no < SIZECLASS_N_SMALL ? &set->bins[class_no] : &set->packed[class_no - SIZECLASS_N_SMALL];
}
/* Lists are zero until their first span comes. */
ALWAYS_INLINE bool tcache_list_is_empty(const struct list *l)
{
    return l->next == NULL || list_is_empty(l);
}
enum { TCACHE_TICK_FREES = 1024 };

/* The cache of a thread that has none: every bin is empty, it owns nothing. Never written. */
extern struct tcache tcache_none;
extern __thread struct tcache *tcache_self __attribute__((visibility("hidden"), tls_model("initial-exec")));

#define TCACHE_EMPTY_BIN {.word = &tcache_no_word}

/* All below: critical section of the owner, unless said otherwise. */
struct tcache *tcache_get(void);  /* this thread's cache, created on demand; NULL: no memory, or a child of vfork's */
/* Thread end: the cache is parked. A thread that allocates even later gets another, which the next collection abandons when it
 * finds the thread gone. */
void tcache_retire(void);
/* Any thread: a parked cache is abandoned. false: there is none. */
bool tcache_unpark_one(void);
void tcache_unpark_all(void);
struct tcache_set *tcache_set_of(struct tcache *tc, unsigned flavor, unsigned class_no); /* with its bin, on demand; NULL: no memory */
void tcache_note_thread(void); /* the thread's id was not known when its cache was made, and is now */
/* A stop found this thread in a fast path: until tcache_mend, which the next critical section calls first, the fast paths
 * find nothing and go to their slow halves. tcache_cut: in a signal handler, a fast path half done; not twice. */
void tcache_cut(void);
void tcache_mend(void);
/* The bin goes on to the next word of its span that has a free slot. false: there is none, the span has a flag, or a tick is
 * due: tcache_refill. */
bool tcache_step(struct tcache *tc, unsigned flavor, unsigned class_no);
/* Give the bin a window with at least one free slot without new slices: drain, current span, available, central's orphans,
 * and what parked caches own.
 * false: new slices are needed. */
bool tcache_refill(struct tcache *tc, unsigned flavor, unsigned class_no);
/* As tcache_refill, with new slices from the arena. false: no memory. */
bool tcache_refill_new(struct tcache *tc, unsigned flavor, unsigned class_no);
void *tcache_pop(struct tcache *tc, unsigned flavor, unsigned class_no); /* NULL: window empty */
void tcache_drain_inbox(struct tcache *tc);
void tcache_account(struct tcache *tc, int64_t bytes); /* for the heap's estimate of what is used */
void tcache_tick(struct tcache *tc);    /* every thousand frees or so, and from refill: gives empty spans back when time has passed */
void tcache_make_room(struct tcache *tc, uint32_t n_slices); /* before a new span: now and then, empty ones go back first */
size_t tcache_release_empty(struct tcache *tc); /* all empty spans go back now; how many slices were looked at */
size_t tcache_trim(struct tcache *tc); /* and all pages that no block needs, at once; bytes */
/* What threads that wait in wrapped calls no longer need: they may wait for ever. at_once: as tcache_trim, and the bytes. */
size_t tcache_release_of_waiting(bool at_once);
/* The spans of a cache whose thread is gone become central's, and the inbox is closed. World stopped, or whoever has taken the
 * cache from those that are parked. */
void tcache_abandon(struct tcache *tc);
/* All caches ever made, active or not; walk by ->next. World stopped, or just for reading is_active. */
struct tcache *tcache_first(void);
void tcache_fork_child(void);      /* forget all lists but this thread's own; heap_fork_child refills them */
/* Owner, or collector while stopped: a full span has a free (or dead) slot again. */
void tcache_reopen(struct span *s);
/* World stopped: the span leaves its owner's lists and windows (it is about to be released). */
void tcache_detach(struct span *s);

size_t tcache_check(struct tcache *tc); /* lists, windows and spans agree; number of spans on them */

extern uint64_t tcache_no_word; /* always 0 */

#endif
