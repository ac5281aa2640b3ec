/* realloc of an existing block, and how many bytes a block has.
 *
 * What    in place where the block's class still fits and wastes at most half; large blocks grow in place or
 *         move by their pages; else a new block, with room to grow where the old one became too small, a copy, and
 *         a free. The old block stays allocated, and reachable from this frame, until the copy is done; on failure
 *         it is intact.
 *         The flavor of a block stays what it was. A finalizer stays with the address: where the block must
 *         move it is dropped with the free of the old one.
 * Locks   as alloc_slow.c.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include "api/alloc.h"
#include "api/real.h"
#include "api/watch.h"
#include "base/check.h"
#include "base/counters.h"
#include "gc/mark.h"
#include "heap/layout.h"
#include "heap/probation.h"
#include "heap/quarantine.h"
#include "heap/sample.h"
#include "os/critical_inl.h"
#include "os/os.h"

enum {
    REALLOC_TINY = 64,         /* so small that shrinking never pays for a copy */
    REALLOC_LARGE_KEEP = 4096, /* a large block that shrinks by less keeps its pages */
    REALLOC_ROOM_SHARE = 4,
};

/* What gc_malloc clears where it hands out a block: what the program did not ask for it never writes. */
static void realloc_clear_end(void *q, size_t new_bytes)
{
    struct heap_obj obj;

    if (heap_find_object((uintptr_t)q, &obj) == HEAP_LIVE && !flavor_is_noscan(obj.span->flavor))
        memset((char *)q + new_bytes, 0, obj.size_bytes - new_bytes);
}

/* Copy to a new block. is_freed: the old block is freed, not only left behind. */
static void *realloc_copy(void *p, size_t old_bytes, size_t new_bytes, unsigned flavor, bool is_freed)
{
    void *q =
        flavor == FLAVOR_MALLOC ? malloc(new_bytes) : alloc_block(new_bytes, SIZECLASS_ALIGN, flavor, NULL);

    if (UNLIKELY(q == NULL))
        return NULL;
    memcpy(q, p, old_bytes < new_bytes ? old_bytes : new_bytes);
    if (flavor != FLAVOR_MALLOC)
        realloc_clear_end(q, new_bytes);
    if (is_freed && UNLIKELY(quarantine_is_on()))
        free_moved(p);
    else if (is_freed)
        free(p);
    return q;
}

/* The same for a block of malloc that has outgrown its class. It will grow again, so the new one is a quarter larger at least, as long as
 * it is small: what lies behind the end of a large block is no memory before it is written, and the block gets it in place. Where
 * blocks are looked at, they are as long as the program asked. */
static void *realloc_outgrown(void *p, size_t old_bytes, size_t new_bytes)
{
    size_t room_bytes = old_bytes + old_bytes / REALLOC_ROOM_SHARE;

    if (room_bytes > SIZECLASS_MAX_SMALL || new_bytes + ALLOC_PAST_END_BYTES >= room_bytes || sample_rate() != 0)
        return realloc_copy(p, old_bytes, new_bytes, FLAVOR_MALLOC, true);
    room_bytes = sizeclass_size(sizeclass_of(room_bytes));
    char *q = realloc_copy(p, old_bytes, room_bytes - ALLOC_PAST_END_BYTES, FLAVOR_MALLOC, true);
    if (UNLIKELY(q == NULL))
        return realloc_copy(p, old_bytes, new_bytes, FLAVOR_MALLOC, true);
    memset(q + new_bytes, 0, room_bytes - new_bytes); /* an old pointer there would keep garbage */
    return q;
}

/* The layout of a typed block says nothing about more bytes, and parts are made by gc_malloc alone. */
static unsigned realloc_flavor(unsigned flavor)
{
    if (flavor == FLAVOR_GC_TYPED)
        return FLAVOR_GC;
    return flavor == FLAVOR_GC_TINY ? FLAVOR_GC_NOSCAN : flavor;
}

static bool realloc_fits(size_t block_bytes, size_t new_bytes)
{
    return new_bytes <= block_bytes && (block_bytes <= REALLOC_TINY || new_bytes >= block_bytes / 2);
}

/* ---- the quick answer ---- */

/* Small, this thread's, and its bits are exact: what fast_owner stands for in free. */
ALWAYS_INLINE bool realloc_is_own_small(const struct span *s, const struct slice *e, uintptr_t addr)
{
    bool is_start;
    uint32_t idx = slice_block_at(e, addr - s->start, &is_start);

    return s->fast_owner == tcache_self && is_start && idx < s->n_blocks && !span_is_free(s, idx);
}

/* No finalizer or the like, and neither free nor dead. */
ALWAYS_INLINE bool realloc_is_plain_large(struct span *s, uintptr_t addr)
{
    uint32_t flags = span_flags(s);
    bool is_plain = flags == SPAN_LARGE || (flags == (SPAN_LARGE | SPAN_SAMPLED) && sample_rate() != 1);

    return is_plain && s->start == addr && !span_is_free(s, 0); /* nor dead: SPAN_UNSWEPT */
}

/* A buffer that grows by a few bytes has the room already, nearly always. Only reads, so no critical section: the caller
 * holds the block. false: not known. pre: in the heap. */
ALWAYS_INLINE bool realloc_is_quick(uintptr_t addr, size_t new_bytes)
{
    const struct slice *e = slice_of(addr);
    struct span *s = span_of_ref(e->span);
    size_t padded_bytes = new_bytes + ALLOC_PAST_END_BYTES;

    if (UNLIKELY(e->flavor == FLAVOR_GC_TYPED))
        return false;
    if (e->recip != 0)
        return realloc_is_own_small(s, e, addr) && realloc_fits(slice_block_size(e), padded_bytes);
    return realloc_is_plain_large(s, addr) && padded_bytes <= s->size_bytes &&
           s->size_bytes - padded_bytes < REALLOC_LARGE_KEEP;
}

/* ---- in place ---- */

/* Where every block is looked at, the one after a realloc is another, from another place. */
COLD static void *realloc_large_watched(const struct heap_obj *obj, size_t new_bytes)
{
    void *p = (void *)obj->start, *q;
    struct tracked_block block;

    if (sample_rate() == 1)
        return NULL;
    block = watch_lift(p);
    q = heap_large_resize(obj->span, new_bytes);
    watch_put(q != NULL ? q : p, block, q != NULL ? new_bytes : block.size_bytes);
    return q;
}

/* The block's pages may move, so not with anything hanging on its address. */
static void *realloc_large(const struct heap_obj *obj, size_t new_bytes)
{
    if (!span_is_large(obj->span) || new_bytes <= SIZECLASS_MAX_SMALL || heap_is_special(obj->start))
        return NULL;
    if (LIKELY(!sample_is_flagged(obj->start)))
        return heap_large_resize(obj->span, new_bytes);
    return realloc_large_watched(obj, new_bytes);
}

/* The new address, or NULL: a copy is needed. */
static void *realloc_in_place(const struct heap_obj *obj, size_t new_bytes)
{
    size_t padded_bytes = alloc_padded(new_bytes, SIZECLASS_ALIGN, obj->span->flavor);

    if (realloc_flavor(obj->span->flavor) != obj->span->flavor)
        return new_bytes <= obj->size_bytes && heap_is_special(obj->start) ? (void *)obj->start : NULL;
    if (!span_is_large(obj->span) && realloc_fits(obj->size_bytes, padded_bytes))
        return (void *)obj->start;
    void *q = realloc_large(obj, padded_bytes);
    if (q == NULL && heap_is_special(obj->start) && new_bytes <= obj->size_bytes) {
        if (new_bytes == obj->size_bytes)
            mark_note_full_block(new_bytes);
        return (void *)obj->start;
    }
    return q;
}

COLD static void *realloc_foreign(void *p, size_t new_bytes)
{
    void *(*real_realloc)(void *, size_t) = REAL_KNOWN(realloc);

    if (emergency_contains(p))
        return realloc_copy(p, emergency_usable_size(p), new_bytes, FLAVOR_MALLOC, true);
    if (real_realloc != NULL)
        return real_realloc(p, new_bytes);
    errno = ENOMEM;
    return NULL;
}

/* The collector took the block, so the program held it by a pointer that we could not see. Its bytes are
 * still there: nothing was handed out since. */
COLD static void *realloc_taken(const struct heap_obj *obj, size_t new_bytes)
{
    return realloc_copy((void *)obj->start, obj->size_bytes, new_bytes, FLAVOR_MALLOC, false);
}

/* What the collector left of a span that it took whole: how long the block was is forgotten. Bytes up to
 * where other things lie now. */
COLD static size_t realloc_taken_bytes(uintptr_t addr)
{
    size_t n_bytes = 0;

    do
        n_bytes += SLICE_SIZE - ((addr + n_bytes) & (SLICE_SIZE - 1));
    while (heap_contains(addr + n_bytes) && slice_is_taken(slice_of(addr + n_bytes)));
    return n_bytes;
}

/* Where the collector took blocks, and the memory may serve others by now, a pointer that is no block proves
 * nothing. */
static enum heap_find realloc_find(uintptr_t addr, struct heap_obj *obj)
{
    enum heap_find found = heap_find_object(addr, obj);
    bool is_block = (found == HEAP_LIVE || found == HEAP_TAKEN) && obj->start == addr;

    if ((found == HEAP_LIVE || found == HEAP_TAKEN) && obj->span->flavor == FLAVOR_GC_TINY &&
        layout_is_part(obj->span, addr)) {
        *obj = (struct heap_obj){obj->span, addr, layout_part_bytes(obj->span, addr), obj->idx};
        return found;
    }
    if (LIKELY(is_block) || (!slice_is_taken(slice_of(addr)) && !slice_is_doubtful(addr)))
        return found;
    *obj = (struct heap_obj){.start = addr, .size_bytes = realloc_taken_bytes(addr)};
    return HEAP_TAKEN;
}

static bool realloc_is_freed(enum heap_find found)
{
    return found == HEAP_FREE || found == HEAP_HELD;
}

COLD NORETURN static void realloc_misuse(const void *p, enum heap_find found)
{
    check_misuse(realloc_is_freed(found) ? MISUSE_REALLOC_FREED : MISUSE_INVALID_REALLOC, (uintptr_t)p);
}

/* A block that the program uses is no suspect, and one that was judged dead lives again if that can still be. */
static enum heap_find realloc_use(enum heap_find found, const struct heap_obj *obj, enum counter taken, bool *was_unseen)
{
    if (UNLIKELY(found == HEAP_TAKEN))
        counter_add(taken, 1);
    *was_unseen = found == HEAP_TAKEN || (found == HEAP_LIVE && probation_use(obj->span, obj->idx));
    return found == HEAP_TAKEN && probation_revive(obj) ? HEAP_LIVE : found;
}

/* In a handler that interrupted a slow path the heap must not change, but its blocks can be read. */
COLD static void *realloc_nested(void *p, const struct heap_obj *obj, size_t new_bytes)
{
    if (new_bytes <= obj->size_bytes)
        return p;
    return realloc_copy(p, obj->size_bytes, new_bytes, FLAVOR_MALLOC, true);
}

NOINLINE static void *realloc_slow(void *p, size_t new_bytes)
{
    struct heap_obj obj;
    enum heap_find found;
    void *q = NULL;

    bool is_nested = os_tls.critical != 0 || api_tls.in_cycle != 0;
    if (LIKELY(!is_nested))
        api_enter_slow();
    os_critical_enter();
    found = realloc_find((uintptr_t)p, &obj);
    bool is_start = found != HEAP_NOT_A_BLOCK && obj.start == (uintptr_t)p;
    bool was_unseen = false;
    struct unseen_site site = {0}; /* before the block moves */
    if (LIKELY(is_start && !is_nested))
        found = realloc_use(found, &obj, COUNTER_TAKEN_REALLOC, &was_unseen);
    if (UNLIKELY(was_unseen))
        site = unseen_find(p);
    unsigned flavor = found == HEAP_LIVE ? realloc_flavor(obj.span->flavor) : FLAVOR_MALLOC;
    if (LIKELY(found == HEAP_LIVE && is_start && !is_nested))
        q = realloc_in_place(&obj, new_bytes);
    if (UNLIKELY(sample_rate() == 1) && q != NULL)
        tracked_resize((uintptr_t)q, new_bytes);
    os_critical_leave();
    if (UNLIKELY(!is_start || realloc_is_freed(found)))
        realloc_misuse(p, found);
    if (UNLIKELY(is_nested))
        return realloc_nested(p, &obj, new_bytes);
    if (UNLIKELY(was_unseen))
        unseen_tell("realloc", p, site, __builtin_return_address(0));
    api_exit_slow();
    if (q != NULL)
        return q;
    if (UNLIKELY(found == HEAP_TAKEN))
        return realloc_taken(&obj, new_bytes);
    if (flavor == FLAVOR_MALLOC && new_bytes >= obj.size_bytes)
        return realloc_outgrown(p, obj.size_bytes, new_bytes);
    return realloc_copy(p, obj.size_bytes, new_bytes, flavor, true);
}

COLD static void *realloc_no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/* Apart from its slow half, which needs a frame and all registers. */
void *realloc_block(void *p, size_t new_bytes)
{
    if (UNLIKELY(new_bytes > PTRDIFF_MAX))
        return realloc_no_memory();
    if (UNLIKELY(!heap_contains((uintptr_t)p)))
        return realloc_foreign(p, new_bytes);
    if (LIKELY(realloc_is_quick((uintptr_t)p, new_bytes)))
        return p;
    return realloc_slow(p, new_bytes);
}

COLD static size_t usable_foreign(void *p)
{
    size_t (*real_usable)(void *) = REAL_KNOWN(malloc_usable_size);

    if (emergency_contains(p))
        return emergency_usable_size(p);
    return real_usable != NULL ? real_usable(p) : 0;
}

size_t usable_size(void *p)
{
    struct heap_obj obj;
    enum heap_find found;

    if (UNLIKELY(!heap_contains((uintptr_t)p)))
        return usable_foreign(p);
    os_critical_enter();
    bool was_unseen = false;
    found = realloc_find((uintptr_t)p, &obj);
    if (LIKELY(found != HEAP_NOT_A_BLOCK && obj.start == (uintptr_t)p))
        found = realloc_use(found, &obj, COUNTER_TAKEN_USABLE, &was_unseen);
    os_critical_leave();
    if (UNLIKELY(found == HEAP_NOT_A_BLOCK || obj.start != (uintptr_t)p))
        check_misuse(MISUSE_INVALID_USABLE, (uintptr_t)p);
    if (UNLIKELY(realloc_is_freed(found)))
        check_misuse(MISUSE_USABLE_FREED, (uintptr_t)p);
    if (UNLIKELY(was_unseen))
        unseen_tell("malloc_usable_size", p, unseen_find(p), __builtin_return_address(0));
    mark_note_full_block(obj.size_bytes); /* of another flavor: too much is kept; one that was taken has no span */
    api_exit_slow();
    return obj.size_bytes;
}
