/* Where huge pages are advised: at growth, from some size of the arena on, as the memory just before has been written; see arena.c.
 *
 * What    a page that no program writes costs nothing as long as its huge page is none. So what comes is expected to be written as
 *         what lies before it was: small blocks are judged by all that is there, large ones by large ones alone, because a program that
 *         writes all of its small blocks may hardly write its tables.
 *         What a huge page costs is asked, too: the first write to one takes 0.25 ms, where 512 small pages take 0.7, and 5 ms in a
 *         virtual machine whose host has to find the memory first.
 * Not here  when a huge page is split: arena_purge.c, span_trim.c.
 */
#include "heap/arena.h"
#include "heap/arena_int.h"

enum {
    HUGE_FROM_BYTES = 16 << 20,         /* of the arena, ... */
    HUGE_DENSE_FROM_BYTES = ARENA_HUGE_LEAST_BYTES, /* ... or where all of it will be written again and again, ... */
    HUGE_LIMITED_FROM_BYTES = 64 << 20, /* ... or where what is held must not be much more than the blocks */
    HUGE_UNCOUNTED_FROM_BYTES = 256 << 20,
    HUGE_LOOK_BYTES = 2 << 20,
    HUGE_LOOK_BLOCKS_SHARE = 4,
    HUGE_LOOK_PAGES_SHARE = 2,
    HUGE_PAGE_BYTES = 2 << 20,
    HUGE_ASK_PAGES = 8,
    HUGE_TRIES = 2,
    HUGE_PAUSE_BYTES = 128 << 20,
    HUGE_PAUSE_MAX_BYTES = 1 << 30,
    HUGE_LARGE_LOOK_BYTES = 16 << 20,
    HUGE_LARGE_MISS_SHARE = 4, /* so much of it may be of other kinds, and unwritten */
};

/* Between two collections blocks fill what is there, however few they are just now. */
void arena_expect_dense(void)
{
    STORE_ONCE(arena.is_dense, true);
}

void arena_expect_limit(bool is_limited)
{
    STORE_ONCE(arena.is_limited, is_limited);
}

static size_t huge_from_bytes(void)
{
    if (LOAD_ONCE(arena.is_limited))
        return HUGE_LIMITED_FROM_BYTES;
    return LOAD_ONCE(arena.is_dense) ? HUGE_DENSE_FROM_BYTES : HUGE_FROM_BYTES;
}

/* What marking has read of sparse blocks counts, too: mincore does not tell the kernel's zero page from others. */
static bool huge_is_present(uintptr_t start, size_t size, size_t least_bytes)
{
    size_t n = os_vm_count_present((void *)start, size);
    return n != SIZE_MAX && n * os_page_size() >= least_bytes;
}

/* Many threads with few blocks each touch a page in sixteen, and have few blocks where huge pages make all of it present. */
static bool huge_has_blocks(uintptr_t start, uintptr_t end)
{
    return LOAD_ONCE(arena.is_dense) || arena.n_slices << SLICE_SHIFT >= HUGE_UNCOUNTED_FROM_BYTES ||
           span_bytes_between(start, end, 0) >= (end - start) / HUGE_LOOK_BLOCKS_SHARE;
}

static bool huge_suits_small(uintptr_t end)
{
    uintptr_t start = end - HUGE_LOOK_BYTES;
    return huge_has_blocks(start, end) && huge_is_present(start, HUGE_LOOK_BYTES, HUGE_LOOK_BYTES / HUGE_LOOK_PAGES_SHARE);
}

/* Slices of large blocks have no reciprocal, and keep that when the block is gone. */
static bool huge_suits_large(uintptr_t end)
{
    size_t n_other = 0;
    if (end - window.arena < HUGE_LARGE_LOOK_BYTES)
        return false;
    uintptr_t start = end - HUGE_LARGE_LOOK_BYTES;
    for (uintptr_t at = start; at < end; at += SLICE_SIZE)
        n_other += slice_of(at)->recip != 0;
    return n_other <= (HUGE_LARGE_LOOK_BYTES >> SLICE_SHIFT) / HUGE_LARGE_MISS_SHARE &&
           huge_is_present(start, HUGE_LARGE_LOOK_BYTES, HUGE_LARGE_LOOK_BYTES - HUGE_LARGE_LOOK_BYTES / HUGE_LARGE_MISS_SHARE);
}

/* ---- what it costs ---- */

/* The least that was seen: the first one in new memory may meet anything. */
void arena_cost_note_page(struct arena_cost *cost, uint64_t ns)
{
    if (cost->page_ns == 0 || ns < cost->page_ns)
        cost->page_ns = ns;
}

static bool arena_cost_is_dear(const struct arena_cost *cost, uint64_t ns)
{
    return ns == ARENA_COST_NONE || (cost->page_ns != 0 && ns > cost->page_ns * (HUGE_PAGE_BYTES / os_page_size()));
}

bool arena_cost_note_huge(struct arena_cost *cost, uint64_t ns, size_t arena_bytes)
{
    if (!arena_cost_is_dear(cost, ns)) {
        cost->pause_bytes = 0;
        return false;
    }
    if (cost->pause_bytes == 0)
        cost->pause_bytes = HUGE_PAUSE_BYTES;
    else if (cost->pause_bytes < HUGE_PAUSE_MAX_BYTES)
        cost->pause_bytes *= 2;
    cost->again_bytes = arena_bytes + cost->pause_bytes;
    return true;
}

static uint64_t huge_first_write_ns(uintptr_t addr)
{
    uint64_t start_ns = os_clock_ns();
    *(volatile char *)addr = 0;
    return os_clock_ns() - start_ns;
}

/* ---- advice ---- */

static bool huge_suits(size_t first, size_t n_wanted)
{
    if (first << SLICE_SHIFT < huge_from_bytes() || arena_is_huge_dear(first))
        return false;
    return n_wanted < ARENA_LARGE_SLICES ? huge_suits_small(arena_addr(first)) : huge_suits_large(arena_addr(first));
}

/* The last few pages tell. Whatever the system does of itself, they are small ones as long as they are asked; what is advised after
 * that may lack a huge page by them: once in most processes. Where they begin. */
static uintptr_t huge_ask_small(uintptr_t start, size_t size)
{
    size_t bytes = HUGE_ASK_PAGES * os_page_size();
    bytes = bytes < size ? bytes : size;
    uintptr_t end = start + size;
    if (os_vm_hugepages((void *)(end - bytes), bytes, false) == 0)
        for (uintptr_t page = end - bytes; page < end; page += os_page_size())
            arena_cost_note_page(&arena.cost, huge_first_write_ns(page));
    return end - bytes;
}

/* Advice is taken where no huge page is to be had, too: the system gives none, or memory is in pieces. */
static uint64_t huge_page_ns(uintptr_t page)
{
    uint64_t ns = huge_first_write_ns(page);
    return huge_is_present(page, HUGE_PAGE_BYTES, HUGE_PAGE_BYTES) ? ns : ARENA_COST_NONE;
}

/* One huge page is advised and written, and if it is dear a second one, for the first may have met something else; none behind
 * untouched. How much is advised. */
static size_t huge_try(uintptr_t start, size_t size, uintptr_t untouched)
{
    uintptr_t page = bits_round_up(start, HUGE_PAGE_BYTES);
    uint64_t least_ns = ARENA_COST_NONE;
    bool is_asked = false;
    for (int i = 0; i < HUGE_TRIES && page + HUGE_PAGE_BYTES <= untouched; i++, page += HUGE_PAGE_BYTES) {
        if (os_vm_hugepages((void *)start, page + HUGE_PAGE_BYTES - start, true) != 0)
            return is_asked ? page - start : 0;
        uint64_t ns = huge_page_ns(page);
        least_ns = ns < least_ns ? ns : least_ns;
        is_asked = true;
        if (!arena_cost_is_dear(&arena.cost, least_ns))
            break;
    }
    if (is_asked && arena_cost_note_huge(&arena.cost, least_ns, start + size - window.arena)) {
        if (least_ns != ARENA_COST_NONE)
            return page - start;
        os_vm_hugepages((void *)start, page - start, false);
        return 0;
    }
    return os_vm_hugepages((void *)start, size, true) == 0 ? size : 0;
}

void arena_advise_huge(size_t first, size_t n, size_t n_wanted)
{
    uintptr_t start = arena_addr(first);
    size_t size = n << SLICE_SHIFT, advised = size;
    if (!huge_suits(first, n_wanted))
        return;
    if (arena.hugepages != ARENA_HUGE_ALWAYS) {
        uintptr_t untouched = arena.cost.page_ns == 0 ? huge_ask_small(start, size) : start + size;
        advised = huge_try(start, size, untouched);
    } else if (os_vm_hugepages((void *)start, size, true) != 0) {
        advised = 0;
    }
    for (size_t i = first; i < first + (advised >> SLICE_SHIFT); i++)
        arena.words[i / WORD_SLICES].huge |= UINT64_C(1) << (i % WORD_SLICES);
}
