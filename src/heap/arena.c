/* Slices; see arena.h.
 *
 * One struct arena_word for 64 slices. A slice is in use, or free; a free slice may have content, which is `recent`
 * (freed since the last arena_age) or `old`. Invariant: used & (recent | old) == 0.
 *
 *   give: used -> recent     age: recent -> old     purge: old -> (clean)     take: any free -> used
 *
 * A purge first claims what it purges as used, so that the system call runs without the lock.
 * In each change the bit that errs on the safe side is set before the other is cleared, so that a fork child, which may
 * find a change half done, never takes a slice with content for a clean one (arena_fork_child).
 * Growth finds a foreign mapping in the way only if a program maps into our window on purpose: those slices stay in use
 * for ever and carry TOMB_FOREIGN.
 */
#include "heap/arena.h"

#include <errno.h>

#include "base/check.h"
#include "heap/arena_int.h"

enum {
    GROW_MIN_BYTES = 2 << 20,       /* mappings stay few */
    GROW_SHARE = 8,                 /* a step is an eighth of what there is ... */
    GROW_MAX_BYTES = 256 << 20,     /* ... at most */
    TABLE_STEP_BYTES = 64 << 10,
    FOREIGN_SKIP_BYTES = 2 << 20,
    FOREIGN_TRIES = 4096,
    TAKE_TRIES = 64,                /* growth met something foreign, or a purge has claimed what is free */
    SHORT_SHARE = 16,               /* of RLIMIT_AS in the arena: little of the limit went to whole slices by then */
};

#define PURGE_WAIT_NS ((uint64_t)1000 * 1000)

struct arena arena = {.lock = OS_LOCK_INIT(OS_RANK_ARENA)};

bool arena_init(size_t cap_bytes, enum arena_hugepages hugepages)
{
    if (!window_init(cap_bytes))
        return false;
    arena.n_slices = arena.n_used = arena.n_foreign = 0; /* a second try after a failed one */
    arena.first_free_word = arena.words_mapped = 0;
    arena.n_split = 0;
    arena.cost = (struct arena_cost){0};
    arena.is_short = arena.is_dense = arena.is_limited = false;
    arena.words = (struct arena_word *)window.arena_words;
    arena.table_mapped = TABLE_STEP_BYTES; /* by window_init */
    arena.hugepages = hugepages;
    heap_map.slices = (struct slice *)window.slices;
    heap_map.arena_base = window.arena;
    heap_map.meta_base = (char *)window.meta;
    heap_map.window_lo = window.base;
    heap_map.window_hi = window.end;
    return true;
}

static size_t arena_slice_no(uintptr_t addr)
{
    return (addr - window.arena) >> SLICE_SHIFT;
}

/* ---- growth ---- */

static bool arena_tables_cover(size_t n_slices)
{
    return window_grow(window.slices, &arena.table_mapped, n_slices * sizeof(struct slice), TABLE_STEP_BYTES) &&
           window_grow(window.arena_words, &arena.words_mapped,
                       (n_slices / WORD_SLICES + 1) * sizeof(struct arena_word), OS_PAGE_SIZE_MIN * 4);
}

static void arena_mark_foreign(size_t first, size_t n)
{
    for (size_t i = first; i < first + n; i++) {
        arena.words[i / WORD_SLICES].used |= UINT64_C(1) << (i % WORD_SLICES);
        heap_map.slices[i].flavor = TOMB_FOREIGN;
    }
    arena.n_used += n;
    arena.n_foreign += n;
}

static void arena_committed(size_t n_more)
{
    if (arena.n_slices == 0)
        span_fill_nil();
    arena.n_slices += n_more;
    __atomic_store_n((uintptr_t *)&heap_map.arena_bytes, arena.n_slices << SLICE_SHIFT, __ATOMIC_RELEASE);
}

/* One attempt to commit exactly n slices at the end, for a request of n_wanted. */
static int arena_grow_by(size_t n, size_t n_wanted)
{
    if (n > (window.arena_max_bytes >> SLICE_SHIFT) - arena.n_slices || !arena_tables_cover(arena.n_slices + n))
        return -ENOMEM;
    int e = os_vm_map_at((void *)arena_addr(arena.n_slices), n << SLICE_SHIFT, true, false);
    if (e != 0)
        return e;
    size_t first = arena.n_slices;
    arena_committed(n); /* first: a fork meanwhile would leave its child a mapping that nobody knows */
    if (arena.hugepages != ARENA_HUGE_NEVER && first << SLICE_SHIFT >= ARENA_HUGE_LEAST_BYTES) /* the page with the rest is none of a start's */
        arena_advise_huge(first, n, n_wanted);
    if (arena.n_slices << SLICE_SHIFT >= os_vm_address_limit() / SHORT_SHARE)
        STORE_ONCE(arena.is_short, true);
    return 0;
}

static bool arena_skip_foreign(void)
{
    size_t n = FOREIGN_SKIP_BYTES >> SLICE_SHIFT;
    if (n > (window.arena_max_bytes >> SLICE_SHIFT) - arena.n_slices || !arena_tables_cover(arena.n_slices + n))
        return false;
    arena_mark_foreign(arena.n_slices, n);
    arena_committed(n);
    return true;
}

/* At least n more slices, in a step that keeps mappings few, or exactly n where memory is short. For a large block no more than it
 * takes: what is left over would be a gap before the next one, which nobody has written (arena_huge.c). */
static bool arena_grow_locked(size_t n, size_t n_wanted)
{
    size_t step = n_wanted < ARENA_LARGE_SLICES ? (arena.n_slices << SLICE_SHIFT) / GROW_SHARE : 0;
    step = step < GROW_MIN_BYTES ? GROW_MIN_BYTES : step > GROW_MAX_BYTES ? GROW_MAX_BYTES : step;
    step = bits_round_up(step, GROW_MIN_BYTES) >> SLICE_SHIFT;
    if (step < n)
        step = bits_round_up(n, GROW_MIN_BYTES >> SLICE_SHIFT);
    for (int tries = 0; tries < FOREIGN_TRIES;) {
        int e = arena_grow_by(step, n_wanted);
        if (e == 0)
            return true;
        if (e == -EEXIST && step > n) {
            step = n;
        } else if (e == -EEXIST) {
            tries++;
            if (!arena_skip_foreign())
                return false;
        } else if (step > n) {
            step = step / 2 > n ? step / 2 : n;
        } else {
            if (n <= arena.n_slices) /* that more than all there is cannot be had says nothing about others */
                STORE_ONCE(arena.is_short, true);
            return false;
        }
    }
    return false;
}

bool arena_is_short(void)
{
    return LOAD_ONCE(arena.is_short);
}

/* ---- finding a run ---- */

static bool arena_is_free(size_t slice)
{
    return slice < arena.n_slices && !((arena.words[slice / WORD_SLICES].used >> (slice % WORD_SLICES)) & 1);
}

/* First slice >= from that is free (want_free) or used; n_slices if none. */
static size_t arena_next(size_t from, bool want_free)
{
    while (from < arena.n_slices) {
        uint64_t u = arena.words[from / WORD_SLICES].used;
        uint64_t m = (want_free ? ~u : u) >> (from % WORD_SLICES);
        if (m != 0) {
            size_t at = from + bits_ctz64(m);
            return at < arena.n_slices ? at : arena.n_slices;
        }
        from = (from / WORD_SLICES + 1) * WORD_SLICES;
    }
    return arena.n_slices;
}

/* Alignment is of the address, not of the index. */
static size_t arena_align_up(size_t slice, size_t align)
{
    size_t misalign = (window.arena >> SLICE_SHIFT) % align;
    return bits_round_up(slice + misalign, align) - misalign;
}

/* First slice of the free run at the end; n_slices if the last slice is in use. */
static size_t arena_tail(void)
{
    size_t at = arena.n_slices;
    while (at > 0) {
        if (at % WORD_SLICES == 0 && arena.words[at / WORD_SLICES - 1].used == 0)
            at -= WORD_SLICES;
        else if (arena_is_free(at - 1))
            at--;
        else
            break;
    }
    return at;
}

/* Lowest run of n free slices at a multiple of align; n_slices: none. */
static size_t arena_find(size_t n, size_t align)
{
    size_t from = arena.first_free_word * WORD_SLICES;
    for (;;) {
        size_t lo = arena_next(from, true);
        if (lo >= arena.n_slices)
            return arena.n_slices;
        size_t aligned = arena_align_up(lo, align);
        size_t hi = arena_next(lo, false);
        if (aligned + n <= hi)
            return aligned;
        from = hi;
    }
}

static void arena_word_take(size_t w, uint64_t mask, bool *is_zero)
{
    struct arena_word *a = &arena.words[w];
    ASSERT((a->used & mask) == 0);
    if (((a->recent | a->old) & mask) != 0)
        *is_zero = false;
    STORE_ONCE(a->used, a->used | mask);
    STORE_ONCE(a->recent, a->recent & ~mask);
    STORE_ONCE(a->old, a->old & ~mask);
}

/* Calls the body for each word that [first, first+n) touches, with the mask of its bits. */
#define ARENA_FOR_WORDS(first, n, w, mask)                                                                            \
    for (size_t w = (first) / WORD_SLICES, at_ = (first), end_ = (first) + (n);                                       \
         at_ < end_; w++, at_ = w * WORD_SLICES)                                                                      \
        for (uint64_t mask = bits_low_mask((unsigned)(end_ - w * WORD_SLICES < 64 ? end_ - w * WORD_SLICES : 64)) &    \
                             ~bits_low_mask((unsigned)(at_ % WORD_SLICES)),                                           \
                      once_ = 1;                                                                                      \
             once_; once_ = 0)

static void arena_mark_used(size_t first, size_t n, bool *is_zero)
{
    *is_zero = true;
    ARENA_FOR_WORDS(first, n, w, mask)
        arena_word_take(w, mask, is_zero);
    arena.n_used += n;
    while (arena.first_free_word < arena.n_slices / WORD_SLICES && arena.words[arena.first_free_word].used == UINT64_MAX)
        arena.first_free_word++;
}

/* Finds a run, growing by what the free run at the end lacks. n_slices: no memory. */
static size_t arena_find_or_grow(size_t n, size_t align)
{
    for (int tries = 0; tries < TAKE_TRIES; tries++) {
        size_t first = arena_find(n, align);
        if (first < arena.n_slices)
            return first;
        if (!arena_grow_locked(arena_align_up(arena_tail(), align) + n - arena.n_slices, n))
            break;
    }
    return arena.n_slices;
}

/* No memory, but a purge holds free slices and will be done in a moment. */
static bool arena_wait_for_purge(void)
{
    uint32_t n_claimed = arena.n_claimed;
    if (n_claimed == 0)
        return false;
    os_unlock(&arena.lock);
    os_futex_wait(&arena.n_claimed, n_claimed, PURGE_WAIT_NS);
    os_lock(&arena.lock);
    return true;
}

uintptr_t arena_take(uint32_t n_slices, uint32_t align_slices, bool *is_zero)
{
    uintptr_t addr = 0;
    os_lock(&arena.lock);
    size_t first = arena_find_or_grow(n_slices, align_slices);
    for (int tries = 0; first >= arena.n_slices && tries < TAKE_TRIES && arena_wait_for_purge(); tries++)
        first = arena_find_or_grow(n_slices, align_slices);
    if (first < arena.n_slices) {
        arena_mark_used(first, n_slices, is_zero);
        addr = arena_addr(first);
    }
    os_unlock(&arena.lock);
    return addr;
}

bool arena_take_at(uintptr_t addr, uint32_t n_slices)
{
    size_t first = arena_slice_no(addr);
    bool is_zero, ok = true;
    os_lock(&arena.lock);
    if (first + n_slices > arena.n_slices && arena_next(first, false) >= arena.n_slices)
        ok = arena_grow_locked(first + n_slices - arena.n_slices, ARENA_LARGE_SLICES); /* for a large block, whatever it lacks */
    for (size_t i = first; ok && i < first + n_slices; i++)
        ok = arena_is_free(i);
    if (ok)
        arena_mark_used(first, n_slices, &is_zero);
    os_unlock(&arena.lock);
    return ok;
}

static void arena_give_as(uintptr_t addr, uint32_t n_slices, bool has_content)
{
    size_t first = arena_slice_no(addr);
    os_lock(&arena.lock);
    ARENA_FOR_WORDS(first, n_slices, w, mask) {
        struct arena_word *a = &arena.words[w];
        ASSERT((a->used & mask) == mask);
        if (has_content)
            STORE_ONCE(a->recent, a->recent | mask);
        STORE_ONCE(a->used, a->used & ~mask);
    }
    arena.n_used -= n_slices;
    if (first / WORD_SLICES < arena.first_free_word)
        arena.first_free_word = first / WORD_SLICES;
    os_unlock(&arena.lock);
}

void arena_give(uintptr_t addr, uint32_t n_slices)
{
    arena_give_as(addr, n_slices, true);
}

void arena_give_empty(uintptr_t addr, uint32_t n_slices)
{
    arena_give_as(addr, n_slices, false);
}

void arena_lose(uintptr_t addr, uint32_t n_slices)
{
    os_lock(&arena.lock);
    for (uint32_t i = 0; i < n_slices; i++)
        *slice_of(addr + ((uintptr_t)i << SLICE_SHIFT)) = (struct slice){.flavor = TOMB_FOREIGN};
    arena.n_foreign += n_slices;
    os_unlock(&arena.lock);
}

/* ---- figures ---- */

size_t arena_max_bytes(void)
{
    return window.arena_max_bytes;
}

size_t arena_committed_bytes(void)
{
    return LOAD_ONCE(arena.n_slices) << SLICE_SHIFT;
}

size_t arena_used_bytes(void)
{
    return LOAD_ONCE(arena.n_used) << SLICE_SHIFT;
}

size_t arena_dirty_bytes(void)
{
    size_t n = 0;
    for (size_t w = 0; w * WORD_SLICES < LOAD_ONCE(arena.n_slices); w++)
        n += bits_popcount64(LOAD_ONCE(arena.words[w].recent) | LOAD_ONCE(arena.words[w].old));
    return n << SLICE_SHIFT;
}

size_t arena_clean_bytes(void)
{
    size_t committed = arena_committed_bytes(), other = arena_used_bytes() + arena_dirty_bytes();
    return committed > other ? committed - other : 0;
}

static size_t arena_check_word(size_t w)
{
    struct arena_word *a = &arena.words[w];
    size_t n_foreign = 0;
    CHECK((a->used & (a->recent | a->old)) == 0);
    CHECK(w >= arena.first_free_word || a->used == UINT64_MAX);
    for (size_t i = w * WORD_SLICES; i < arena.n_slices && i < (w + 1) * WORD_SLICES; i++) {
        const struct slice *e = &heap_map.slices[i];
        bool is_foreign = e->span == 0 && e->flavor == TOMB_FOREIGN;
        CHECK(arena_is_free(i) ? e->span == 0 && !is_foreign : e->span != 0 || is_foreign);
        n_foreign += is_foreign;
    }
    return n_foreign;
}

void arena_check(size_t n_span_slices)
{
    size_t n_foreign = 0;
    for (size_t w = 0; w * WORD_SLICES < arena.n_slices; w++)
        n_foreign += arena_check_word(w);
    CHECK(arena.n_claimed == 0);
    CHECK(arena.n_foreign == n_foreign);
    CHECK(arena.n_used == n_span_slices + n_foreign);
}

/* ---- fork ---- */

/* A vanished thread may have claimed slices for a span that never came, or for a purge: whatever has no span is free,
 * with content. Slices of a half-made span (interior entries without a first one) are wiped by heap_fork_child before. */
void arena_fork_child(void)
{
    os_lock_reset(&arena.lock);
    window_forget_unrecorded(window.slices + arena.table_mapped);
    window_forget_unrecorded(window.arena_words + arena.words_mapped);
    arena.n_claimed = 0;
    arena.n_slices = heap_map.arena_bytes >> SLICE_SHIFT;
    arena.n_used = arena.n_foreign = 0;
    arena.first_free_word = 0;
    for (size_t i = 0; i < arena.n_slices; i++) {
        const struct slice *e = &heap_map.slices[i];
        struct arena_word *a = &arena.words[i / WORD_SLICES];
        uint64_t bit = UINT64_C(1) << (i % WORD_SLICES);
        bool is_foreign = e->span == 0 && e->flavor == TOMB_FOREIGN, is_used = e->span != 0 || is_foreign;
        arena.n_foreign += is_foreign;
        if (!is_used && (a->used & bit) != 0)
            a->recent |= bit;
        a->used = is_used ? a->used | bit : a->used & ~bit;
        if (is_used) {
            a->recent &= ~bit;
            a->old &= ~bit;
            arena.n_used++;
        }
    }
}
