/* See window.h. */
#include "heap/window.h"

#include <errno.h>

#include "base/bits.h"
#include "heap/meta.h"
#include "heap/span.h"
#include "os/os.h"

#define MiB ((uint64_t)1 << 20)
#define GiB ((uint64_t)1 << 30)
#define TiB ((uint64_t)1 << 40)

struct window window;
struct heap_map heap_map;

/* Where the slice table may lie, and offsets from it. The large layout puts the arena where bits 44 to 46 of an address
 * are fixed and byte 5 is 0x16 to 0x1f, which no text has; the small ones serve 39-bit address spaces and emulators. All of the first
 * lies above a sixth of the address space, where that has 47 bits: from there downwards the kernel places what is mapped where the stack may grow without limit.
 *
 * Small processes pay for page tables: one for each 2 MiB, GiB and 512 GiB in which they touch anything. So the three tables begin in
 * one GiB, and within a block of 512 GiB with the first blocks of the arena: 7 pages instead of 10 with all parts a GiB and more apart.
 *
 * The arena begins WINDOW_PAST_BYTES beyond a multiple of 4 GiB. Read at a multiple of 4, two words side by side make an
 * address of the upper half of the first (of a pointer 0x7f.. or 0x55.., else a small number) below the lower half of the
 * second; so do two small ints read as one word. Just above a multiple of 4 GiB such addresses are common, here they are not. */
static const struct window_layout {
    uint64_t lowest_slices;
    uint32_t n_blocks, n_places; /* blocks of addresses, and places in each */
    uint64_t scratch_region, arena_words, meta, arena, arena_max;
} window_layouts[] = {
    {22 * TiB, 12, 63, 64 * GiB, 960 * MiB, 992 * MiB, 256 * GiB, 3840 * GiB},
    {5 * TiB, 2, 63, 64 * GiB, 960 * MiB, 992 * MiB, 256 * GiB, 3840 * GiB},
    {168 * GiB, 1, 16, 1 * GiB, 64 * MiB, 128 * MiB, 8 * GiB, 64 * GiB},
    {72 * GiB, 1, 4, 1 * GiB, 64 * MiB, 128 * MiB, 8 * GiB, 32 * GiB},
};
enum { WINDOW_FIRST_BYTES = 65536, WINDOW_TRIES = 16, WINDOW_PAST_BYTES = 0x50000000 };
#define WINDOW_PLACE_BYTES (4 * GiB)
#define WINDOW_BLOCK_BYTES (512 * GiB)

static uintptr_t window_draw_slices(const struct window_layout *l)
{
    uint64_t place = os_entropy() % (l->n_blocks * l->n_places);
    return l->lowest_slices + place / l->n_places * WINDOW_BLOCK_BYTES + place % l->n_places * WINDOW_PLACE_BYTES;
}

static void window_set(const struct window_layout *l, uintptr_t slices, size_t arena_cap_bytes)
{
    window.scratch_region_bytes = l->scratch_region;
    window.base = window.scratch = slices - SCRATCH_N * l->scratch_region;
    window.slices = slices;
    window.arena_words = slices + l->arena_words;
    window.meta = slices + l->meta;
    window.arena = slices + l->arena + WINDOW_PAST_BYTES;
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
            uintptr_t slices = window_draw_slices(l);
            int e = os_vm_map_at((void *)slices, WINDOW_FIRST_BYTES, true, true);
            if (e == 0) {
                window_set(l, slices, arena_cap_bytes);
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
