/* Large blocks: one to a span, straight from the arena; see heap.h.
 *
 * A span may have more slices than its block needs: addresses cost nothing, so a block that grows gets room to grow in
 * place. What lies behind the usable size is never touched, thus never resident.
 */
#include <string.h>

#include "base/counters.h"
#include "heap/arena.h"
#include "heap/heap.h"
#include "heap/meta.h"
#include "os/critical_inl.h"
#include "os/os.h"

enum { LARGE_PAGE = 4096, LARGE_MOVE_MIN_BYTES = 1 << 20, LARGE_ROOM_SHARE = 2 };

static size_t large_usable(size_t size_bytes)
{
    return bits_round_up(size_bytes, LARGE_PAGE);
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
    size_t usable = large_usable(size_bytes);
    size_t n_slices = large_slices(usable), n_align = align <= SLICE_SIZE ? 1 : align >> SLICE_SHIFT;
    if (n_slices > UINT32_MAX || n_align > UINT32_MAX)
        return NULL;
    uintptr_t start = arena_take((uint32_t)n_slices, (uint32_t)n_align, is_zero);
    if (start == 0)
        return NULL;
    struct span *s = large_new(start, (uint32_t)n_slices, usable, flavor);
    if (s == NULL)
        return NULL;
    span_publish(s);
    return (void *)start;
}

void heap_large_free(struct span *s, enum slice_tomb tomb)
{
    uintptr_t start = s->start;
    uint32_t n_slices = s->n_slices;
    heap_add_used(-s->size_bytes);
    span_unpublish(s, tomb);
    span_delete(s);
    arena_give(start, n_slices);
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
        e[i] = (struct slice){.flavor = TOMB_NONE};
    arena_give(s->start + ((uintptr_t)n_slices << SLICE_SHIFT), before - n_slices);
}

static void large_set_size(struct span *s, size_t usable_bytes)
{
    heap_add_used(usable_bytes - s->size_bytes);
    s->size_bytes = usable_bytes;
}

static void *large_shrink(struct span *s, size_t usable)
{
    size_t n_slices = large_slices(usable);
    large_set_size(s, usable);
    if (n_slices < s->n_slices)
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
    size_t roomy = n_slices + n_slices / LARGE_ROOM_SHARE;
    if (roomy > UINT32_MAX)
        return 0;
    *n_taken = (uint32_t)roomy;
    uintptr_t start = arena_take(*n_taken, 1, &is_zero);
    if (start != 0)
        return start;
    *n_taken = (uint32_t)n_slices;
    return arena_take(*n_taken, 1, &is_zero);
}

/* Both spans exist while the pages move, so that a collector that came in between would find the block under either
 * address; it cannot, because this is a critical section. */
static void *large_move(struct span *s, size_t usable)
{
    uint32_t n_slices;
    uintptr_t start = large_take_room(large_slices(usable), &n_slices);
    if (start == 0)
        return NULL;
    struct span *to = large_new(start, n_slices, usable, s->flavor);
    if (to == NULL)
        return NULL;
    size_t bytes = s->size_bytes;
    bool moved = bytes >= LARGE_MOVE_MIN_BYTES && os_vm_move((void *)s->start, (void *)start, bytes) == 0;
    if (!moved)
        memcpy((void *)start, (void *)s->start, bytes);
    span_publish(to);
    heap_large_free(s, TOMB_FREED);
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
    if ((atomic_load(&s->flags) & SPAN_SPECIAL) != 0)
        return NULL;
    return large_move(s, usable);
}
