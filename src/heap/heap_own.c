/* Which mappings in the window are ours. The program may have some there, too: a runtime that places its heap at random
 * comes to lie in a window of terabytes sooner or later, and what it stores there are roots like any other.
 */
#include "heap/arena.h"
#include "heap/arena_int.h"
#include "heap/heap.h"
#include "heap/meta.h"

/* The part of [start, start + bytes) above addr. */
static bool own_part(uintptr_t addr, uintptr_t start, size_t bytes, struct heap_range *out)
{
    *out = (struct heap_range){addr > start ? addr : start, start + bytes};
    return out->lo < out->hi;
}

static bool own_scratch(uintptr_t addr, struct heap_range *out)
{
    for (unsigned r = 0; r < SCRATCH_N; r++)
        if (own_part(addr, window.scratch + (size_t)r * window.scratch_region_bytes, meta_scratch_size(r), out))
            return true;
    return false;
}

/* Slices of a foreign mapping, or of a hole, are marked in the table; there are hardly ever any. */
static bool own_is_foreign(size_t slice)
{
    const struct slice *e = &heap_map.slices[slice];
    return e->span == 0 && e->flavor == TOMB_FOREIGN;
}

static bool own_arena(uintptr_t addr, struct heap_range *out)
{
    if (!own_part(addr, heap_map.arena_base, heap_map.arena_bytes, out) || arena.n_foreign == 0)
        return out->lo < out->hi;
    size_t i = (out->lo - window.arena) >> SLICE_SHIFT, n = (out->hi - window.arena) >> SLICE_SHIFT;
    while (i < n && own_is_foreign(i))
        i++;
    if (arena_addr(i) > out->lo)
        out->lo = arena_addr(i);
    while (i < n && !own_is_foreign(i))
        i++;
    out->hi = arena_addr(i);
    return out->lo < out->hi;
}

bool heap_next_own(uintptr_t addr, struct heap_range *out)
{
    return heap_is_ready() &&
           (own_scratch(addr, out) || own_part(addr, window.slices, arena.table_mapped, out) ||
            own_part(addr, window.arena_words, arena.words_mapped, out) ||
            own_part(addr, window.meta, meta_mapped_bytes(), out) || own_arena(addr, out));
}

struct heap_range heap_own_words(unsigned i)
{
    const struct heap_range words[HEAP_N_OWN_WORDS] = {
        {(uintptr_t)&heap_map, (uintptr_t)(&heap_map + 1)},
        {(uintptr_t)&window, (uintptr_t)(&window + 1)},
    };
    return words[i];
}
