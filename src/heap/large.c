/* Large blocks: one to a span, straight from the arena; see heap.h.
 *
 * A span may have more slices than its block needs: addresses cost nothing, so a block that grows gets room to grow in
 * place. What lies behind the usable size is never touched, thus never resident.
 */
#include <errno.h>
#include <string.h>

#include "base/counters.h"
#include "heap/arena.h"
#include "heap/heap.h"
#include "heap/meta.h"
#include "heap/stash.h"
#include "os/critical_inl.h"
#include "os/os.h"

enum {
    LARGE_PAGE = 4096,
    LARGE_MOVE_MIN_BYTES = 1 << 20,
    LARGE_MOVE_SHARE = 2048, /* of the arena: a move splits mappings, of which a process has some 65000 */
    LARGE_ROOM_SHARE = 2,
    LARGE_ROOM_KEEP = 2, /* slices of room that keep what they held: they are written sooner than emptying them pays */
};

/* A block of no bytes still has an address of its own. */
static size_t large_usable(size_t size_bytes)
{
    return bits_round_up(size_bytes + (size_bytes == 0), LARGE_PAGE);
}

static size_t large_slices(size_t usable_bytes)
{
    return (usable_bytes + SLICE_SIZE - 1) >> SLICE_SHIFT;
}

/* A span of n slices at start for a block; takes the slices over, or gives them back on failure. */
static struct span *large_new(uintptr_t start, uint32_t n_slices, size_t usable_bytes, unsigned flavor)
{
    struct span *s = span_new(SIZECLASS_LARGE, flavor, start, n_slices, usable_bytes);
    if (s == NULL) {
        arena_give(start, n_slices);
        return NULL;
    }
    s->list_no = LIST_LARGE;
    heap_add_used(usable_bytes);
    return s;
}

void *heap_large_alloc(size_t size_bytes, size_t align, unsigned flavor, bool *is_zero)
{
    if (size_bytes > PTRDIFF_MAX - SLICE_SIZE || align > PTRDIFF_MAX)
        return NULL;
    if (flavor == FLAVOR_GC_TINY)
        flavor = FLAVOR_GC_NOSCAN; /* parts share small blocks only */
    size_t usable = large_usable(size_bytes);
    size_t n_slices = large_slices(usable), n_align = align <= SLICE_SIZE ? 1 : align >> SLICE_SHIFT;
    if (n_slices > UINT32_MAX || n_align > UINT32_MAX)
        return NULL;
    if (n_slices <= STASH_SPAN_SLICES && n_align == 1) {
        void *p = stash_take((uint32_t)n_slices, usable, flavor);
        if (p != NULL) {
            *is_zero = false;
            return p;
        }
    }
    uintptr_t start = arena_take((uint32_t)n_slices, (uint32_t)n_align, is_zero);
    if (start == 0)
        return NULL;
    struct span *s = large_new(start, (uint32_t)n_slices, usable, flavor);
    if (s == NULL)
        return NULL;
    span_publish(s);
    return (void *)start;
}

/* Its first n_empty slices have no content any more. */
static void large_end(struct span *s, enum slice_tomb tomb, uint32_t n_empty)
{
    uintptr_t start = s->start;
    uint32_t n_slices = s->n_slices;
    heap_add_used(-s->size_bytes);
    span_unpublish(s, tomb);
    span_delete(s);
    if (n_empty != 0)
        arena_give_empty(start, n_empty);
    if (n_slices != n_empty)
        arena_give(start + ((uintptr_t)n_empty << SLICE_SHIFT), n_slices - n_empty);
}

void heap_large_free(struct span *s, enum slice_tomb tomb)
{
    large_end(s, tomb, 0);
}

/* The span's extent becomes n_slices; the table follows. Bits and size stay. */
static void large_set_extent(struct span *s, uint32_t n_slices)
{
    uint32_t before = s->n_slices;
    if (n_slices >= before) {
        s->n_slices = n_slices;
        span_publish(s);
        return;
    }
    struct slice *e = slice_of(s->start);
    s->n_slices = n_slices;
    for (uint32_t i = n_slices; i < before; i++)
        e[i] = (struct slice){.flavor = TOMB_NONE, .taken_in = e[i].taken_in};
    arena_give(s->start + ((uintptr_t)n_slices << SLICE_SHIFT), before - n_slices);
}

static void large_set_size(struct span *s, size_t usable_bytes)
{
    heap_add_used(usable_bytes - s->size_bytes);
    s->size_bytes = usable_bytes;
}

/* The room behind a block stays until the block gets smaller. */
static void *large_shrink(struct span *s, size_t usable)
{
    size_t n_slices = large_slices(usable);
    bool is_smaller = usable < s->size_bytes;
    large_set_size(s, usable);
    if (is_smaller && n_slices < s->n_slices)
        large_set_extent(s, (uint32_t)n_slices);
    return (void *)s->start;
}

static bool large_grow_in_place(struct span *s, size_t usable)
{
    size_t n_slices = large_slices(usable);
    if (n_slices > UINT32_MAX)
        return false;
    if (n_slices > s->n_slices) {
        uint32_t more = (uint32_t)n_slices - s->n_slices;
        if (!arena_take_at(s->start + ((uintptr_t)s->n_slices << SLICE_SHIFT), more))
            return false;
        large_set_extent(s, (uint32_t)n_slices);
    }
    large_set_size(s, usable);
    return true;
}

/* Room for a block that grows: half as much again where addresses allow, else just enough. */
static uintptr_t large_take_room(size_t n_slices, uint32_t *n_taken)
{
    bool is_zero;
    size_t n_room = n_slices / LARGE_ROOM_SHARE;
    if (n_slices + n_room > UINT32_MAX)
        return 0;
    *n_taken = (uint32_t)(n_slices + n_room);
    uintptr_t start = arena_take(*n_taken, 1, &is_zero);
    if (start != 0 && n_room > LARGE_ROOM_KEEP && !is_zero && !os_seccomp_is_on())
        os_vm_purge((void *)(start + (n_slices << SLICE_SHIFT)), n_room << SLICE_SHIFT); /* nobody else may, from now on */
    if (start != 0)
        return start;
    *n_taken = (uint32_t)n_slices;
    return arena_take(*n_taken, 1, &is_zero);
}

static bool large_may_move(size_t bytes)
{
    return bytes >= LARGE_MOVE_MIN_BYTES && bytes >= heap_committed_bytes() / LARGE_MOVE_SHARE;
}

/* The kernel took the pages that the block should have moved to, and could not give them back. */
static void large_lose(struct span *to, uint32_t n_lost)
{
    uintptr_t start = to->start;
    uint32_t n_slices = to->n_slices;
    heap_add_used(-to->size_bytes);
    span_delete(to);
    arena_lose(start, n_lost);
    if (n_slices != n_lost)
        arena_give(start + ((uintptr_t)n_lost << SLICE_SHIFT), n_slices - n_lost);
}

/* Both spans exist while the pages move, so that a collector that came in between would find the block under either
 * address; it cannot, because this is a critical section. Whole slices move, with whatever lies behind the block's end. */
static void *large_move(struct span *s, size_t usable)
{
    uint32_t n_slices, n_moved = (uint32_t)large_slices(s->size_bytes);
    int e = -ENOSYS;
    uintptr_t start = large_take_room(large_slices(usable), &n_slices);
    if (start == 0)
        return NULL;
    struct span *to = large_new(start, n_slices, usable, s->flavor);
    if (to == NULL)
        return NULL;
    if (large_may_move(s->size_bytes))
        e = os_vm_move((void *)s->start, (void *)start, (size_t)n_moved << SLICE_SHIFT);
    if (e == -ENOTRECOVERABLE) {
        large_lose(to, n_moved);
        return NULL;
    }
    if (e == 0) {
        arena_moved(s->start, start, n_moved);
    } else {
        if (e != -ENOSYS)
            arena_renew_advice(start, n_moved);
        memcpy((void *)start, (void *)s->start, s->size_bytes);
    }
    span_publish(to);
    large_end(s, TOMB_FREED, e == 0 ? n_moved : 0);
    return (void *)start;
}

void *heap_large_resize(struct span *s, size_t new_size_bytes)
{
    if (new_size_bytes > PTRDIFF_MAX - SLICE_SIZE)
        return NULL;
    size_t usable = large_usable(new_size_bytes);
    if (usable <= s->size_bytes)
        return large_shrink(s, usable);
    if (large_grow_in_place(s, usable))
        return (void *)s->start;
    if ((atomic_load(&s->flags) & (SPAN_SPECIAL | SPAN_HOLDS)) != 0) /* with the pages its address would be free at once */
        return NULL;
    return large_move(s, usable);
}
