/* The record of blocks: what is called unreachable, leaked and taken, and what takes it back. */
#include "gc_blocks.h"

#include <stdio.h>
#include <stdlib.h>

#include "gc/tracked.h"
#include "unit_seed.h"

enum { N_BLOCKS = 20000 };

static struct site *here(uintptr_t pc)
{
    os_critical_enter();
    struct site *s = site_of_stack(&pc, 1);
    os_critical_leave();
    assert_non_null(s);
    return s;
}

static void **track(struct site *s, size_t size_bytes, unsigned flavor)
{
    void *p = gc_block(flavor, size_bytes);
    struct tracked_block block = {s, size_bytes, 1, flavor == FLAVOR_MALLOC};

    os_critical_enter();
    tracked_add((uintptr_t)p, &block);
    os_critical_leave();
    return p;
}

static void track_free(void *p)
{
    os_critical_enter();
    tracked_remove((uintptr_t)p);
    os_critical_leave();
    gc_block_free(p);
}

/* A cycle with the given roots. is_taking: what is dead is taken. */
static void judge(void *roots, size_t size_bytes, bool is_taking)
{
    gc_block_mark_begin();
    mark_words((uintptr_t)roots, (uintptr_t)roots + size_bytes);
    assert_true(mark_drain());
    tracked_judge();
    if (is_taking) {
        sweep_publish();
        tracked_note_taken();
    }
    gc_block_mark_end();
}

static uint64_t n_of(const struct site *s, enum site_figure figure)
{
    return site_get(s, figure).n;
}

static void assert_figures(const struct site *s, uint64_t unreachable, uint64_t leaked, uint64_t indirect, uint64_t taken)
{
    assert_int_equal(n_of(s, SITE_UNREACHABLE), unreachable);
    assert_int_equal(n_of(s, SITE_LEAKED), leaked);
    assert_int_equal(n_of(s, SITE_LEAKED_INDIRECT), indirect);
    assert_int_equal(n_of(s, SITE_TAKEN) + n_of(s, SITE_TAKEN_INDIRECT), taken);
}

static void two_cycles_make_a_leak(void **state)
{
    struct site *lost = here(0x1000), *held = here(0x2000);
    void *roots[2] = {track(held, 100, FLAVOR_MALLOC), NULL};

    (void)state;
    track(lost, 40, FLAVOR_MALLOC);
    judge(roots, sizeof(roots), false);
    assert_figures(lost, 1, 0, 0, 0);
    judge(roots, sizeof(roots), false);
    assert_figures(lost, 1, 1, 0, 0);
    assert_int_equal(site_get(lost, SITE_LEAKED).bytes, 40);
    judge(roots, sizeof(roots), false);
    assert_figures(lost, 1, 1, 0, 0);
    assert_int_equal(n_of(lost, SITE_EVER_UNREACHABLE), 1);
    assert_figures(held, 0, 0, 0, 0);
    track_free(roots[0]);
    assert_int_equal(n_of(held, SITE_FREED), 1);
}

static void what_is_found_again_is_forgiven(void **state)
{
    struct site *s = here(0x3000);
    void *roots[1] = {NULL}, *p = track(s, 64, FLAVOR_MALLOC);

    (void)state;
    judge(roots, sizeof(roots), false);
    roots[0] = p;
    judge(roots, sizeof(roots), false);
    assert_figures(s, 0, 0, 0, 0);
    assert_int_equal(n_of(s, SITE_EVER_UNREACHABLE), 0);
    roots[0] = NULL;
    judge(roots, sizeof(roots), false);
    assert_figures(s, 1, 0, 0, 0); /* it counts from the start again */
    judge(roots, sizeof(roots), false);
    assert_figures(s, 1, 1, 0, 0);
    track_free(p); /* freed after all */
    assert_figures(s, 0, 0, 0, 0);
    assert_int_equal(n_of(s, SITE_EVER_UNREACHABLE), 0);
    judge(roots, sizeof(roots), false);
    assert_figures(s, 0, 0, 0, 0);
}

static void taken_blocks_are_leaked_by_the_next_cycle(void **state)
{
    struct site *s = here(0x4000), *late = here(0x4100);
    void *roots[1] = {NULL}, *p;

    (void)state;
    tracked_want_leaks();
    track(s, 64, FLAVOR_MALLOC);
    p = track(late, 64, FLAVOR_MALLOC);
    judge(roots, sizeof(roots), true);
    assert_figures(s, 1, 0, 0, 0);
    os_critical_enter();
    assert_ptr_equal(tracked_remove((uintptr_t)p).site, late); /* freed late: no leak */
    os_critical_leave();
    judge(roots, sizeof(roots), true);
    assert_figures(s, 0, 0, 0, 1);
    assert_figures(late, 0, 0, 0, 0);
    assert_int_equal(n_of(s, SITE_FREED), 1);
    assert_int_equal(site_get(s, SITE_TAKEN).bytes, 64);
}

/* With sampling most blocks are not on record: a taken one's slot goes to such a block, which is not the one that was lost. */
static void a_slot_handed_out_unseen(void **state)
{
    enum { N = 200 };
    struct site *s = here(0x4200), *freed = here(0x4300);
    void *lost[N], *freed_one = track(freed, 80, FLAVOR_MALLOC);
    void **roots = calloc(4 * N, sizeof(void *));

    (void)state;
    for (int i = 0; i < N; i++)
        lost[i] = track(s, 80, FLAVOR_MALLOC);
    judge(roots, 4 * N * sizeof(void *), true);
    assert_int_equal(n_of(s, SITE_UNREACHABLE), N);
    bool is_same = false, is_freed_one = false;
    for (int i = 0; i < 4 * N; i++) {
        roots[i] = gc_block(FLAVOR_MALLOC, 80);
        is_same |= roots[i] == lost[0];
        if (roots[i] == freed_one) {
            is_freed_one = true;
            os_critical_enter();
            assert_null(tracked_remove((uintptr_t)roots[i]).site); /* the new block is freed, not the old one late */
            os_critical_leave();
        }
    }
    assert_true(is_same && is_freed_one);
    assert_int_equal(n_of(freed, SITE_TAKEN), 1);
    judge(roots, 4 * N * sizeof(void *), true);
    assert_figures(s, 0, 0, 0, N);
    assert_int_equal(n_of(s, SITE_ALLOCATED) - n_of(s, SITE_FREED), 0);
    for (int i = 0; i < 4 * N; i++)
        gc_block_free(roots[i]);
    free(roots);
}

static void a_slot_handed_out_again(void **state)
{
    struct site *first = here(0x5000), *second = here(0x5100);
    void *roots[1] = {NULL};
    struct tracked_block block = {second, 64, 1, true};
    void *p = track(first, 64, FLAVOR_MALLOC);

    (void)state;
    judge(roots, sizeof(roots), false);
    os_critical_enter();
    tracked_add((uintptr_t)p, &block);
    os_critical_leave();
    assert_figures(first, 0, 0, 0, 1);
    assert_figures(second, 0, 0, 0, 0);
    track_free(p);
    assert_int_equal(n_of(second, SITE_FREED), 1);
}

static void direct_and_indirect(void **state)
{
    struct site *chain = here(0x6000), *end = here(0x6100), *ring = here(0x6200), *self = here(0x6300);
    void *roots[1] = {NULL};
    void **a = track(chain, 64, FLAVOR_MALLOC), **b = track(end, 64, FLAVOR_MALLOC);
    void **c = track(ring, 64, FLAVOR_MALLOC), **d = track(ring, 64, FLAVOR_MALLOC), **e = track(self, 64, FLAVOR_MALLOC);

    (void)state;
    tracked_want_leaks();
    a[3] = (char *)b + 10;
    c[0] = d;
    d[0] = c;
    e[1] = e;
    judge(roots, sizeof(roots), false);
    judge(roots, sizeof(roots), false);
    assert_figures(chain, 1, 1, 0, 0);
    assert_figures(end, 1, 0, 1, 0);
    assert_figures(ring, 2, 0, 2, 0);
    assert_figures(self, 1, 1, 0, 0);
    track_free(a);
    judge(roots, sizeof(roots), false);
    assert_figures(end, 1, 1, 0, 0);
    track_free(b);
    track_free(c);
    track_free(d);
    track_free(e);
}

/* A pointer in a packed structure counts where the marker sees it. */
static void indirect_through_a_packed_pointer(void **state)
{
    struct site *end = here(0x6400);
    void *roots[1] = {NULL}, *target = track(end, 64, FLAVOR_MALLOC);
    char *packed = (char *)track(here(0x6500), 64, FLAVOR_MALLOC);

    (void)state;
    memcpy(packed + 12, &target, sizeof(target));
    judge(roots, sizeof(roots), false);
    judge(roots, sizeof(roots), false);
    assert_figures(end, 1, 0, 1, 0);
    track_free(target);
    track_free(packed);
}

static void blocks_of_gc_malloc_are_no_leaks(void **state)
{
    struct site *s = here(0x7000);
    void *roots[1] = {NULL};

    (void)state;
    track(s, 64, FLAVOR_GC);
    judge(roots, sizeof(roots), false);
    judge(roots, sizeof(roots), true);
    assert_figures(s, 1, 0, 0, 0);
    judge(roots, sizeof(roots), true);
    assert_figures(s, 0, 0, 0, 0);
}

static void sizes_and_weights(void **state)
{
    struct site *s = here(0x8000);
    struct tracked_block block = {s, 64, 5, true}, removed;
    void *p = gc_block(FLAVOR_MALLOC, 64);

    (void)state;
    os_critical_enter();
    tracked_add((uintptr_t)p, &block);
    assert_int_equal(n_of(s, SITE_ALLOCATED), 5);
    assert_int_equal(n_of(s, SITE_FREED), 4); /* one is there */
    tracked_resize((uintptr_t)p, 50);
    tracked_resize((uintptr_t)&p, 50); /* not on record */
    removed = tracked_remove((uintptr_t)p);
    assert_int_equal(removed.size_bytes, 50);
    assert_ptr_equal(removed.site, s);
    assert_null(tracked_remove((uintptr_t)p).site);
    os_critical_leave();
    assert_int_equal(site_get(s, SITE_ALLOCATED).bytes, site_get(s, SITE_FREED).bytes);
    gc_block_free(p);
}

/* Against a list: blocks come and go, and the figures are those of the list. */
static void many_blocks(void **state)
{
    static void *blocks[N_BLOCKS];
    struct site *s = here(0x9000);
    uint64_t seed = unit_seed(), n = 0;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        void **slot = &blocks[unit_below(&seed, N_BLOCKS)];
        if (*slot == NULL) {
            *slot = track(s, 1 + unit_below(&seed, 200), FLAVOR_MALLOC);
            n++;
        } else {
            track_free(*slot);
            *slot = NULL;
            n--;
        }
    }
    assert_int_equal(n_of(s, SITE_ALLOCATED) - n_of(s, SITE_FREED), n);
    judge(blocks, sizeof(blocks) / 2, false);
    judge(blocks, sizeof(blocks) / 2, false);
    for (size_t i = 0; i < N_BLOCKS / 2; i++)
        n -= blocks[i] != NULL;
    assert_figures(s, n, n, 0, 0);
}

static int setup(void **state)
{
    (void)state;
    gc_block_heap_setup();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_cycles_make_a_leak),
        cmocka_unit_test(what_is_found_again_is_forgiven),
        cmocka_unit_test(taken_blocks_are_leaked_by_the_next_cycle),
        cmocka_unit_test(a_slot_handed_out_unseen),
        cmocka_unit_test(a_slot_handed_out_again),
        cmocka_unit_test(direct_and_indirect),
        cmocka_unit_test(indirect_through_a_packed_pointer),
        cmocka_unit_test(blocks_of_gc_malloc_are_no_leaks),
        cmocka_unit_test(sizes_and_weights),
        cmocka_unit_test(many_blocks),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
