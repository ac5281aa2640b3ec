/* See window.h. */
#include "heap/window.h"

#include <errno.h>

#include "base/bits.h"
#include "heap/span.h"
#include "os/os.h"

#define MiB ((uint64_t)1 << 20)
#define GiB ((uint64_t)1 << 30)
#define TiB ((uint64_t)1 << 40)

struct window window;
struct heap_map heap_map;

/* Offsets from the base, and where the base may lie. The large layout puts the arena where bits 44 to 46 of an address
 * are fixed and byte 5 is 0x14 to 0x1f, which no text has; the small ones serve 39-bit address spaces and emulators.
 *
 * The arena begins WINDOW_PAST_BYTES beyond a multiple of 4 GiB. Read at a multiple of 4, two words side by side make an
 * address of the upper half of the first (of a pointer 0x7f.. or 0x55.., else a small number) below the lower half of the
 * second; so do two small ints read as one word. Just above a multiple of 4 GiB such addresses are common, here they are not. */
static const struct window_layout {
    uint64_t lowest_base, n_places;
    uint64_t arena_words, meta, scratch, scratch_region, arena, arena_max;
} window_layouts[] = {
    {19 * TiB, 2048, 1 * GiB, 2 * GiB, 512 * GiB, 64 * GiB, 1 * TiB, 4 * TiB},
    {5 * TiB, 256, 1 * GiB, 2 * GiB, 512 * GiB, 64 * GiB, 1 * TiB, 4 * TiB},
    {160 * GiB, 16, 64 * MiB, 128 * MiB, 8 * GiB, 1 * GiB, 16 * GiB, 64 * GiB},
    {64 * GiB, 4, 64 * MiB, 128 * MiB, 8 * GiB, 1 * GiB, 16 * GiB, 32 * GiB},
};
enum { WINDOW_FIRST_BYTES = 65536, WINDOW_TRIES = 16, WINDOW_PAST_BYTES = 0x50000000 };
#define WINDOW_PLACE_BYTES (4 * GiB)

static void window_set(const struct window_layout *l, uintptr_t base, size_t arena_cap_bytes)
{
    window.base = base;
    window.slices = base;
    window.arena_words = base + l->arena_words;
    window.meta = base + l->meta;
    window.scratch = base + l->scratch;
    window.scratch_region_bytes = l->scratch_region;
    window.arena = base + l->arena;
    window.arena_max_bytes = l->arena_max;
    if (arena_cap_bytes != 0 && arena_cap_bytes < l->arena_max)
        window.arena_max_bytes = bits_round_up(arena_cap_bytes, SLICE_SIZE);
    window.end = window.arena + l->arena_max;
}

bool window_init(size_t arena_cap_bytes)
{
    for (size_t i = 0; i < N_ELEMENTS(window_layouts); i++) {
        const struct window_layout *l = &window_layouts[i];
        for (int t = 0; t < WINDOW_TRIES; t++) {
            uintptr_t base = l->lowest_base + os_entropy() % l->n_places * WINDOW_PLACE_BYTES + WINDOW_PAST_BYTES;
            int e = os_vm_map_at((void *)base, WINDOW_FIRST_BYTES, true, true);
            if (e == 0) {
                window_set(l, base, arena_cap_bytes);
                return true;
            }
            if (e != -EEXIST) /* out of range or out of memory: another place of this layout is no better */
                break;
        }
    }
    return false;
}

/* Growth that has begun and is not yet written down where its part keeps its end. Each part grows under a lock of its
 * own, so there are fewer at a time than entries. lo: 0 free, GROWTH_TAKEN while hi is being written. */
enum { N_GROWTHS = 8, GROWTH_TAKEN = 1 };
static struct growth {
    uintptr_t lo, hi;
} window_growths[N_GROWTHS];

static struct growth *growth_begin(uintptr_t lo, uintptr_t hi)
{
    for (size_t i = 0; i < N_GROWTHS; i++) {
        struct growth *g = &window_growths[i];
        uintptr_t none = 0;
        if (!__atomic_compare_exchange_n(&g->lo, &none, GROWTH_TAKEN, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            continue;
        __atomic_store_n(&g->hi, hi, __ATOMIC_RELAXED);
        __atomic_store_n(&g->lo, lo, __ATOMIC_SEQ_CST);
        return g;
    }
    return NULL;
}

static void growth_end(struct growth *g)
{
    if (g != NULL)
        __atomic_store_n(&g->lo, 0, __ATOMIC_SEQ_CST);
}

bool window_grow(uintptr_t start, size_t *mapped_bytes, size_t want_bytes, size_t step_bytes)
{
    if (want_bytes <= *mapped_bytes)
        return true;
    size_t target = bits_round_up(want_bytes, step_bytes > os_page_size() ? step_bytes : os_page_size());
    struct growth *g = growth_begin(start + *mapped_bytes, start + target);
    bool is_mapped = os_vm_map_at((void *)(start + *mapped_bytes), target - *mapped_bytes, true, true) == 0;
    if (is_mapped)
        __atomic_store_n(mapped_bytes, target, __ATOMIC_SEQ_CST);
    growth_end(g);
    return is_mapped;
}

void window_forget_unrecorded(uintptr_t mapped_end)
{
    for (size_t i = 0; i < N_GROWTHS; i++) {
        struct growth *g = &window_growths[i];
        if (g->lo == mapped_end && os_vm_count_present((void *)g->lo, g->hi - g->lo) == 0) /* else it failed: something is there */
            os_vm_unmap((void *)g->lo, g->hi - g->lo);
        if (g->lo == mapped_end || g->hi == mapped_end || g->lo == GROWTH_TAKEN)
            g->lo = 0;
    }
}

void window_fini(void)
{
    os_vm_unmap((void *)window.slices, WINDOW_FIRST_BYTES);
    window = (struct window){0};
    heap_map = (struct heap_map){0};
}
