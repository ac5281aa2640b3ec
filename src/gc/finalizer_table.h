/* Records of blocks that are more than memory: finalizer, cleanups, pins, weak links. For finalizer*.c and
 * weak.c only.
 *
 * What    an open-addressing table of references to records, keyed by the start of the block. A record is
 *         one unit of meta and never moves.
 * Invariants  whole at every instant, so that a fork child can use what a vanished thread was changing: a
 *         record is filled before the one store that enters it, and leaves by one store; a bigger table is
 *         filled before the one store that publishes it. Nothing is allocated in a stop: records dropped
 *         there go to a list of unused ones.
 * Locks   FIN; or the world is stopped, when nobody holds it.
 */
#ifndef GC_FINALIZER_TABLE_H
#define GC_FINALIZER_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "gc/finalizer.h"
#include "os/os.h"

enum finalizer_state {
    FINALIZER_NONE,   /* fn has no meaning */
    FINALIZER_SET,    /* waits for the block to become unreachable */
    FINALIZER_QUEUED, /* on the queue; block and arg are roots */
    FINALIZER_CLEANUP /* not in the table: a cleanup, in its block's list or on the queue */
};

/* No block's start has this bit, so that a link may lie there. */
#define FINALIZER_LINK_KEY (UINT64_C(1) << 63)

/* References are meta_ref of other records, 0 for none. */
struct finalizer_record {
    uintptr_t obj;   /* block; 0 in a cleanup that is queued; of a link its address | FINALIZER_LINK_KEY */
    finalizer_fn fn; /* or a cleanup_fn */
    void *arg;
    uint32_t queue_next;   /* on the queue, in a block's list of cleanups, in a list of unused records */
    uint32_t cleanups;     /* records of the block's cleanups */
    uint32_t weak_handles; /* records of handles and links whose target this block is */
    uint32_t weak_target;  /* this is a handle or a link: its target's record */
    uint32_t weak_next, weak_prev; /* other handles of the same target; weak_prev 0: the first */
    uint32_t n_pins;
    uint32_t n_links;   /* links that lie in this block, whose records are elsewhere */
    uint8_t state;      /* enum finalizer_state */
    uint8_t order;      /* enum finalizer_order */
    bool was_unmarked;  /* in a cycle: the roots did not reach it */
    bool is_arg_marked; /* in a cycle */
    bool is_cyclic;     /* counted as one that waits for itself */
    bool is_link;       /* not a block, but a word that is set to NULL */
    bool is_long;       /* a link that is cleared only when its target is gone for good */
    uint8_t unused[1];
};
_Static_assert(sizeof(struct finalizer_record) == 64, "one unit of meta");

extern struct os_lock finalizer_lock;

struct finalizer_record *finalizer_record_of_ref(uint32_t ref); /* NULL for 0 */
struct finalizer_record *finalizer_table_find(uintptr_t obj);   /* NULL: none */
/* The block's record, made if need be; marks its span special. NULL: no memory. */
struct finalizer_record *finalizer_table_enter(uintptr_t obj);
/* Takes the record out of the table and back to the unused ones if nothing is left in it. */
void finalizer_table_drop_if_empty(struct finalizer_record *r);
void finalizer_table_remove(struct finalizer_record *r); /* out of the table; the record is the caller's */
struct finalizer_record *finalizer_record_new(void);     /* zeroed, in no table; NULL: no memory */
void finalizer_record_free(struct finalizer_record *r);
/* Each record once; fn may drop records, but enter none. */
void finalizer_table_walk(void (*fn)(struct finalizer_record *r, void *ctx), void *ctx);
size_t finalizer_table_count(void);
/* World stopped: spans in which no record's block is left are ordinary again, and fast to free in. */
void finalizer_table_settle_spans(void);
void finalizer_table_fork_child(void);

/* ---- finalizer_run.c ---- */
void finalizer_queue_put(struct finalizer_record *r); /* stopped world */
void finalizer_queue_mark(void);
void finalizer_queue_fork_child(void);

/* The start of a block that is handed out, or of a part of one. */
bool finalizer_is_block_start(uintptr_t obj);

static inline uintptr_t finalizer_record_address(const struct finalizer_record *r)
{
    return r->obj & ~FINALIZER_LINK_KEY;
}

#endif
