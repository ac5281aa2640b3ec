/* Slices against a shadow: runs never overlap, alignment holds, zero means zero, purged content is gone. */
#include <sys/prctl.h>

#include "heap/arena_int.h"
#include "heap_harness.h"

enum { N_RUNS = 300, N_STEPS = 6000, HUGE_PAGE_SLICES = 32 };

struct run {
    uintptr_t addr;
    uint32_t n_slices;
};

static bool runs_overlap(const struct run *a, const struct run *b)
{
    return a->addr < b->addr + ((uintptr_t)b->n_slices << SLICE_SHIFT) &&
           b->addr < a->addr + ((uintptr_t)a->n_slices << SLICE_SHIFT);
}

static void touch(const struct run *r)
{
    for (uint32_t i = 0; i < r->n_slices; i++)
        *(volatile uintptr_t *)(r->addr + ((uintptr_t)i << SLICE_SHIFT) + 8) = r->addr;
}

static bool reads_as_zero(const struct run *r)
{
    for (uint32_t i = 0; i < r->n_slices; i++)
        if (*(volatile uintptr_t *)(r->addr + ((uintptr_t)i << SLICE_SHIFT) + 8) != 0)
            return false;
    return true;
}

/* One slice after the other is taken and written, as small blocks are. */
static uintptr_t take_and_write(uintptr_t *slices, int n)
{
    bool is_zero;
    for (int i = 0; i < n; i++) {
        slices[i] = arena_take(1, 1, &is_zero);
        assert_true(slices[i] != 0);
        memset((void *)slices[i], 0x5a, SLICE_SIZE);
    }
    return slices[n - 1];
}

/* First, while the arena is small. */
static void huge_pages_are_advised_early_where_all_is_written_but_under_a_limit(void **state)
{
    (void)state;
    enum { N = (16 << 20) >> SLICE_SHIFT };
    static uintptr_t slices[3 * N];
    harness_needs_hardware();
    os_critical_enter();
    assert_false(arena_is_huge(take_and_write(slices, N) - 2 * HUGE_PAGE_SLICES * SLICE_SIZE));
    arena_expect_dense();
    arena_expect_limit(true);
    assert_false(arena_is_huge(take_and_write(slices + N, N) - 2 * HUGE_PAGE_SLICES * SLICE_SIZE));
    arena_expect_limit(false);
    assert_true(arena_is_huge(take_and_write(slices + 2 * N, N) - 2 * HUGE_PAGE_SLICES * SLICE_SIZE));
    for (int i = 0; i < 3 * N; i++)
        arena_give(slices[i], 1);
    os_critical_leave();
}

/* The last of the arena, whatever is free before it; one huge page or more. */
static uintptr_t take_last(uint32_t n_slices, struct run *taken, int *n_taken)
{
    bool is_zero;
    for (;;) {
        uintptr_t end = heap_map.arena_base + arena_committed_bytes(), addr = arena_take(n_slices, HUGE_PAGE_SLICES, &is_zero);
        assert_true(addr != 0 && *n_taken < N_RUNS);
        taken[(*n_taken)++] = (struct run){addr, n_slices};
        if (addr + ((uintptr_t)n_slices << SLICE_SHIFT) > end)
            return addr;
    }
}

static bool is_next_huge(struct run *taken, int *n_taken)
{
    return arena_is_huge(take_last(2 * HUGE_PAGE_SLICES, taken, n_taken));
}

/* Each of these is judged by what lies before it: 16 MiB of a block that nobody wrote, of one that is written, of small ones. */
static void huge_pages_for_large_blocks_are_advised_behind_written_large_ones(void **state)
{
    (void)state;
    enum { N = (16 << 20) >> SLICE_SHIFT };
    static struct run taken[N_RUNS];
    int n_taken = 0;
    harness_needs_hardware();
    os_critical_enter();
    uintptr_t block = take_last(N, taken, &n_taken);
    assert_false(is_next_huge(taken, &n_taken));
    block = take_last(N, taken, &n_taken);
    memset((void *)block, 0x5a, (size_t)N << SLICE_SHIFT);
    for (int i = 0; i < N; i++)
        slice_of(block + ((uintptr_t)i << SLICE_SHIFT))->recip = 1;
    assert_false(is_next_huge(taken, &n_taken));
    for (int i = 0; i < N; i++)
        slice_of(block + ((uintptr_t)i << SLICE_SHIFT))->recip = 0;
    block = take_last(N, taken, &n_taken);
    memset((void *)block, 0x5a, (size_t)N << SLICE_SHIFT);
    assert_true(is_next_huge(taken, &n_taken));
    while (n_taken-- > 0)
        arena_give(taken[n_taken].addr, taken[n_taken].n_slices);
    arena_purge(true);
    os_critical_leave();
}

/* One huge page stands for 512 small ones (of 4 KiB): 300 us where each takes one. */
static void huge_pages_that_cost_more_than_small_ones_wait(void **state)
{
    (void)state;
    const uint64_t n_pages = ((size_t)HUGE_PAGE_SLICES << SLICE_SHIFT) / os_page_size(), us = 1000;
    const size_t mib = (size_t)1 << 20;
    struct arena_cost cost = {0};
    assert_false(arena_cost_note_huge(&cost, n_pages * 1000 * us, mib)); /* nothing to compare with */
    arena_cost_note_page(&cost, 1000 * us); /* it met something else */
    assert_false(arena_cost_note_huge(&cost, n_pages * us * 7, mib));
    arena_cost_note_page(&cost, us);
    arena_cost_note_page(&cost, 1000 * us);
    assert_false(arena_cost_note_huge(&cost, n_pages * us / 2, 20 * mib));
    assert_int_equal(cost.again_bytes, 0);
    assert_true(arena_cost_note_huge(&cost, n_pages * us * 7, 20 * mib));
    assert_int_equal(cost.again_bytes, 148 * mib);
    size_t pause = 128 * mib;
    for (int i = 0; i < 10; i++) { /* longer and longer, up to a bound */
        size_t at = cost.again_bytes;
        assert_true(arena_cost_note_huge(&cost, n_pages * us * 7, at));
        assert_true(cost.again_bytes - at >= pause && cost.again_bytes - at <= 1024 * mib);
        pause = cost.again_bytes - at;
    }
    assert_false(arena_cost_note_huge(&cost, n_pages * us / 2, 9000 * mib));
    assert_true(arena_cost_note_huge(&cost, n_pages * us * 7, 9000 * mib));
    assert_int_equal(cost.again_bytes, 9128 * mib);
    struct arena_cost dear = {.page_ns = 7 * us}; /* where small ones are dear, too */
    assert_false(arena_cost_note_huge(&dear, n_pages * us * 6, 20 * mib));
}

static void runs_never_overlap_and_zero_means_zero(void **state)
{
    (void)state;
    static struct run runs[N_RUNS];
    uint64_t rng = unit_seed();
    os_critical_enter();
    for (int step = 0; step < N_STEPS; step++) {
        struct run *r = &runs[unit_below(&rng, N_RUNS)];
        if (r->addr != 0) {
            assert_int_equal(*(uintptr_t *)(r->addr + 8), r->addr);
            arena_give(r->addr, r->n_slices);
            r->addr = 0;
        } else {
            bool is_zero;
            uint32_t align = 1u << unit_below(&rng, 5);
            r->n_slices = (uint32_t)unit_below(&rng, 100) + 1;
            r->addr = arena_take(r->n_slices, align, &is_zero);
            assert_true(r->addr != 0);
            assert_int_equal(r->addr % ((uintptr_t)align << SLICE_SHIFT), 0);
            for (int k = 0; k < N_RUNS; k++)
                assert_true(&runs[k] == r || runs[k].addr == 0 || !runs_overlap(&runs[k], r));
            assert_true(!is_zero || reads_as_zero(r));
            touch(r);
        }
        if (r->addr != 0 && unit_below(&rng, 16) == 0)
            arena_split_huge(r->addr);
        if (step % 500 == 0) {
            arena_purge(step % 1000 == 0);
            arena_age();
        }
    }
    for (int k = 0; k < N_RUNS; k++)
        if (runs[k].addr != 0)
            arena_give(runs[k].addr, runs[k].n_slices);
    os_critical_leave();
}

static void purge_takes_the_old_generation_first(void **state)
{
    (void)state;
    bool is_zero;
    os_critical_enter();
    arena_purge(true);
    assert_int_equal(arena_dirty_bytes(), 0);
    uintptr_t a = arena_take(3, 1, &is_zero), b = arena_take(5, 1, &is_zero);
    arena_give(a, 3);
    arena_age();
    arena_give(b, 5);
    assert_int_equal(arena_dirty_bytes(), 8 * SLICE_SIZE);
    assert_int_equal(arena_purge(false), 3 * SLICE_SIZE);
    assert_int_equal(arena_purge(false), 0);
    assert_int_equal(arena_purge(true), 5 * SLICE_SIZE);
    os_critical_leave();
}

/* The flags of the mapping with addr, as /proc/self/smaps has them. */
static bool has_flag(uintptr_t addr, const char *flag)
{
    static char line[4096];
    bool is_it = false, found = false;
    FILE *f = fopen("/proc/self/smaps", "re");
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        unsigned long lo, hi;
        if (sscanf(line, "%lx-%lx ", &lo, &hi) == 2)
            is_it = lo <= addr && addr < hi;
        else if (is_it && strncmp(line, "VmFlags:", 8) == 0)
            found = strstr(line, flag) != NULL;
    }
    fclose(f);
    return found;
}

/* One that is half in use stays whole, one that is nearly free goes, and is advised again when nothing is left of it. */
static void a_huge_page_is_split_when_it_is_mostly_free(void **state)
{
    (void)state;
    enum { N = (16 << 20) >> SLICE_SHIFT };
    static struct run taken[N_RUNS];
    int n_taken = 0;
    harness_needs_hardware();
    os_critical_enter();
    memset((void *)take_last(N, taken, &n_taken), 0x5a, (size_t)N << SLICE_SHIFT);
    uintptr_t used_page = take_last(2 * HUGE_PAGE_SLICES, taken, &n_taken);
    uintptr_t free_page = used_page + (uintptr_t)HUGE_PAGE_SLICES * SLICE_SIZE;
    arena_purge(true);
    assert_true(arena_is_huge(used_page) && has_flag(free_page, " hg"));
    arena_give(used_page, 10);
    arena_give(free_page, HUGE_PAGE_SLICES - 10);
    assert_true(arena_is_huge(used_page) && !arena_is_huge(free_page));
    assert_int_equal(arena_purge(true), (HUGE_PAGE_SLICES - 10) * SLICE_SIZE);
    assert_int_equal(arena_dirty_bytes(), 10 * SLICE_SIZE);
    assert_true(has_flag(used_page, " hg") && has_flag(free_page, " nh"));
    arena_give(free_page + (HUGE_PAGE_SLICES - 10) * SLICE_SIZE, 10);
    assert_int_equal(arena_purge(true), 10 * SLICE_SIZE);
    assert_true(has_flag(free_page, " hg"));
    assert_true(arena_take_at(used_page, 10) && arena_take_at(free_page, HUGE_PAGE_SLICES));
    assert_true(arena_is_huge(free_page));
    while (n_taken-- > 0)
        arena_give(taken[n_taken].addr, taken[n_taken].n_slices);
    os_critical_leave();
}

/* Half of its free slices are older: they wait for the others, which would be split off. */
static void a_huge_page_that_is_free_goes_at_once(void **state)
{
    (void)state;
    enum { N = (16 << 20) >> SLICE_SHIFT, HALF = HUGE_PAGE_SLICES / 2 };
    static struct run taken[N_RUNS];
    int n_taken = 0;
    harness_needs_hardware();
    os_critical_enter();
    memset((void *)take_last(N, taken, &n_taken), 0x5a, (size_t)N << SLICE_SHIFT);
    uintptr_t page = take_last(HUGE_PAGE_SLICES, taken, &n_taken);
    arena_purge(true);
    arena_give(page, HALF);
    arena_age();
    arena_give(page + HALF * SLICE_SIZE, HALF);
    assert_int_equal(arena_purge(false), 0);
    arena_age();
    assert_int_equal(arena_purge(false), HUGE_PAGE_SLICES * SLICE_SIZE);
    assert_true(has_flag(page, " hg") && arena_take_at(page, HUGE_PAGE_SLICES));
    while (n_taken-- > 0)
        arena_give(taken[n_taken].addr, taken[n_taken].n_slices);
    os_critical_leave();
}

/* Pages that are given back meanwhile huge pages are dear come again as small ones. */
static void a_huge_page_is_not_advised_again_while_they_are_dear(void **state)
{
    (void)state;
    enum { N = (16 << 20) >> SLICE_SHIFT, REST = 4 };
    static struct run taken[N_RUNS];
    int n_taken = 0;
    harness_needs_hardware();
    os_critical_enter();
    memset((void *)take_last(N, taken, &n_taken), 0x5a, (size_t)N << SLICE_SHIFT);
    uintptr_t page = take_last(HUGE_PAGE_SLICES, taken, &n_taken);
    arena.hugepages = ARENA_HUGE_WHERE_CHEAP;
    arena.cost.again_bytes = SIZE_MAX;
    arena_give(page + REST * SLICE_SIZE, HUGE_PAGE_SLICES - REST);
    arena_purge(true);
    arena_give(page, REST);
    arena_purge(true);
    assert_true(has_flag(page, " nh") && !arena_is_huge(page));
    arena.cost.again_bytes = 0;
    assert_true(arena_take_at(page, 1));
    arena_give(page, 1);
    arena_purge(true);
    assert_true(has_flag(page, " hg"));
    arena.hugepages = ARENA_HUGE_ALWAYS;
    assert_true(arena_take_at(page, HUGE_PAGE_SLICES));
    while (n_taken-- > 0)
        arena_give(taken[n_taken].addr, taken[n_taken].n_slices);
    os_critical_leave();
}

static bool is_advised(uintptr_t addr)
{
    size_t slice = (addr - window.arena) >> SLICE_SHIFT;
    return (arena.words[slice / WORD_SLICES].huge >> (slice % WORD_SLICES)) & 1;
}

/* Where the system gives none (here this process; and where thp=never, or all memory is in pieces), nothing counts as one: it would be
 * kept whole for nothing. The small pages that are asked stay small whatever the system does of itself. */
static void small_pages_are_not_taken_for_huge_ones(void **state)
{
    (void)state;
    static struct run taken[N_RUNS];
    int n_taken = 0;
    harness_needs_hardware();
    os_critical_enter();
    arena.hugepages = ARENA_HUGE_WHERE_CHEAP;
    arena.cost = (struct arena_cost){0};
    assert_int_equal(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
    for (int i = 0; i < 4; i++) {
        enum { N = (16 << 20) >> SLICE_SHIFT };
        uintptr_t at = heap_map.arena_base + arena_committed_bytes();
        bool was_asked = arena.cost.page_ns != 0;
        memset((void *)take_last(N, taken, &n_taken), 0x5a, (size_t)N << SLICE_SHIFT);
        uintptr_t end = heap_map.arena_base + arena_committed_bytes();
        for (; at < end; at += SLICE_SIZE)
            assert_false(is_advised(at));
        if (!was_asked && arena.cost.page_ns != 0)
            assert_true(has_flag(end - os_page_size(), " nh") && has_flag(end - 8 * os_page_size(), " nh"));
    }
    assert_true(arena.cost.page_ns != 0 && arena.cost.again_bytes != 0);
    assert_int_equal(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0), 0);
    arena.hugepages = ARENA_HUGE_ALWAYS;
    arena.cost = (struct arena_cost){0};
    while (n_taken-- > 0)
        arena_give(taken[n_taken].addr, taken[n_taken].n_slices);
    arena_purge(true);
    os_critical_leave();
}

static void advise(uintptr_t addr, uint32_t n_slices, bool on)
{
    size_t first = (addr - window.arena) >> SLICE_SHIFT;
    assert_int_equal(os_vm_hugepages((void *)addr, (size_t)n_slices << SLICE_SHIFT, on), 0);
    for (size_t i = first; i < first + n_slices; i++) {
        uint64_t bit = UINT64_C(1) << (i % WORD_SLICES);
        arena.words[i / WORD_SLICES].huge = (arena.words[i / WORD_SLICES].huge & ~bit) | (on ? bit : 0);
    }
}

/* Pages that are moved bring their advice along, whatever was advised where they come to lie. */
static void check_move(bool is_from_advised)
{
    enum { N = 2 * HUGE_PAGE_SLICES };
    const size_t bytes = (size_t)N << SLICE_SHIFT;
    bool is_zero;
    char *p = heap_large_alloc(bytes, HUGE_PAGE_SLICES << SLICE_SHIFT, FLAVOR_MALLOC, &is_zero);
    struct heap_obj obj;
    memset(p, 0x5a, bytes);
    advise((uintptr_t)p, N, is_from_advised);
    bool is_fenced = arena_take_at((uintptr_t)p + bytes, 1); /* it cannot grow in place: what is not taken now was before */
    uintptr_t to = arena_take(N + N / 2 + (N + N / 2) / 2, 1, &is_zero);
    advise(to, N + N / 2, !is_from_advised);
    arena_give_empty(to, N + N / 2 + (N + N / 2) / 2);
    assert_int_equal(heap_find_object((uintptr_t)p, &obj), HEAP_LIVE);
    char *q = heap_large_resize(obj.span, bytes + bytes / 2);
    assert_int_equal((uintptr_t)q, to);
    for (size_t at = 0; at < bytes; at += SLICE_SIZE)
        assert_true(is_advised(to + at) == is_from_advised && has_flag(to + at, " hg") == is_from_advised);
    assert_true(is_advised(to + bytes) != is_from_advised && has_flag(to + bytes, " hg") != is_from_advised);
    assert_true(is_advised((uintptr_t)p) == is_from_advised && has_flag((uintptr_t)p, " hg") == is_from_advised);
    heap_free(q);
    if (is_fenced)
        arena_give((uintptr_t)p + bytes, 1);
}

static void pages_that_move_bring_their_advice_along(void **state)
{
    (void)state;
    harness_needs_hardware();
    os_critical_enter();
    check_move(true);
    check_move(false);
    os_critical_leave();
}

/* As a move leaves it that fails after it has unmapped where to: what was advised is again, and nothing else. */
static void what_is_mapped_anew_is_advised_as_it_was(void **state)
{
    (void)state;
    harness_needs_hardware();
    enum { N = 3 * HUGE_PAGE_SLICES };
    const size_t page = (size_t)HUGE_PAGE_SLICES << SLICE_SHIFT;
    bool is_zero;
    os_critical_enter();
    uintptr_t addr = arena_take(N, HUGE_PAGE_SLICES, &is_zero);
    for (int i = 0; i < 3; i++)
        advise(addr + i * page, HUGE_PAGE_SLICES, i != 1);
    os_vm_unmap((void *)addr, 3 * page);
    assert_int_equal(os_vm_map_at((void *)addr, 3 * page, true, true), 0);
    arena_renew_advice(addr, N);
    for (int i = 0; i < 3; i++)
        assert_int_equal(has_flag(addr + i * page, " hg"), i != 1);
    arena_give(addr, N);
    os_critical_leave();
}

static void growth_in_place_takes_exactly_free_neighbours(void **state)
{
    (void)state;
    bool is_zero;
    os_critical_enter();
    uintptr_t a = arena_take(4, 1, &is_zero), b;
    bool got = arena_take_at(a + 4 * SLICE_SIZE, 2);
    assert_true(got);
    b = arena_take(1, 1, &is_zero);
    assert_true(b < a || b >= a + 6 * SLICE_SIZE);
    assert_false(arena_take_at(a, 1));
    arena_give(a, 6);
    arena_give(b, 1);
    os_critical_leave();
}

static uintptr_t foreign_page;
static const size_t foreign_skip_bytes = 2 << 20;

static void a_foreign_mapping_in_the_way_is_stepped_over(void **state)
{
    (void)state;
    bool is_zero;
    uintptr_t end = heap_map.arena_base + arena_committed_bytes();
    assert_int_equal(os_vm_map_at((void *)end, 4096, true, false), 0);
    *(char *)end = 42;
    foreign_page = end;
    os_critical_enter();
    uint32_t n = (uint32_t)(arena_committed_bytes() >> SLICE_SHIFT) + 64;
    uintptr_t a = arena_take(n, 1, &is_zero);
    os_critical_leave();
    assert_true(a != 0);
    assert_true(a > end);
    memset((void *)a, 1, 65536);
    assert_int_equal(*(char *)end, 42);
    os_critical_enter();
    arena_give(a, n);
    arena_purge(true);
    os_critical_leave();
    assert_int_equal(*(char *)end, 42);
}

static bool is_own(uintptr_t addr)
{
    struct heap_range r;
    return heap_next_own(addr, &r) && r.lo == addr;
}

/* Runs after the test that puts a foreign page into the arena. */
static void what_is_ours_is_told_apart_from_what_is_not(void **state)
{
    (void)state;
    struct heap_range r, last = {0, 0};
    size_t n = 0, arena_bytes = 0;
    for (uintptr_t at = 0; heap_next_own(at, &r); at = r.hi, last = r, n++) {
        assert_true(r.lo < r.hi && r.lo >= at && r.lo >= heap_map.window_lo && r.hi <= heap_map.window_hi);
        assert_true(n == 0 || r.lo >= last.hi);
        *(volatile char *)r.lo = *(volatile char *)r.lo; /* it is mapped */
        *(volatile char *)(r.hi - 1) = *(volatile char *)(r.hi - 1);
        if (r.lo >= heap_map.arena_base)
            arena_bytes += r.hi - r.lo;
    }
    assert_true(n >= 5); /* slice table, bitmaps, meta, and the arena before and behind the foreign page */
    assert_int_equal(arena_bytes, arena_committed_bytes() - foreign_skip_bytes);
    assert_true(is_own((uintptr_t)heap_map.slices) && is_own((uintptr_t)heap_map.meta_base));
    assert_true(is_own(heap_map.arena_base) && is_own(last.hi - 1));
    assert_false(is_own(foreign_page));
    assert_false(is_own((uintptr_t)state));
    assert_false(heap_next_own(last.hi, &r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(huge_pages_are_advised_early_where_all_is_written_but_under_a_limit),
        cmocka_unit_test(huge_pages_that_cost_more_than_small_ones_wait),
        cmocka_unit_test(huge_pages_for_large_blocks_are_advised_behind_written_large_ones),
        cmocka_unit_test(runs_never_overlap_and_zero_means_zero),
        cmocka_unit_test(purge_takes_the_old_generation_first),
        cmocka_unit_test(a_huge_page_is_split_when_it_is_mostly_free),
        cmocka_unit_test(a_huge_page_that_is_free_goes_at_once),
        cmocka_unit_test(a_huge_page_is_not_advised_again_while_they_are_dear),
        cmocka_unit_test(small_pages_are_not_taken_for_huge_ones),
        cmocka_unit_test(pages_that_move_bring_their_advice_along),
        cmocka_unit_test(what_is_mapped_anew_is_advised_as_it_was),
        cmocka_unit_test(growth_in_place_takes_exactly_free_neighbours),
        cmocka_unit_test(a_foreign_mapping_in_the_way_is_stepped_over),
        cmocka_unit_test(what_is_ours_is_told_apart_from_what_is_not),
    };
    return cmocka_run_group_tests(tests, harness_setup, NULL);
}
