/* Large blocks: sizes at both ends, what reads as zero, room to grow, moves, and what a fork child finds. */
#include <sys/mman.h>

#include "heap_harness.h"

#define MiB ((size_t)1 << 20)

static void *large(size_t size_bytes, size_t align, bool *is_zero)
{
    os_critical_enter();
    void *p = heap_large_alloc(size_bytes, align, FLAVOR_MALLOC, is_zero);
    os_critical_leave();
    return p;
}

static void *resize(void *p, size_t size_bytes)
{
    os_critical_enter();
    void *q = heap_large_resize(harness_span(p), size_bytes);
    os_critical_leave();
    return q;
}

static void trim(void)
{
    os_critical_enter();
    heap_trim(0);
    os_critical_leave();
}

static void a_block_of_no_bytes_has_an_address_of_its_own(void **state)
{
    (void)state;
    bool is_zero;
    char *p = large(0, 65536, &is_zero), *q = large(0, 16, &is_zero);
    assert_non_null(p);
    assert_ptr_not_equal(p, q);
    assert_int_equal(harness_state(p), HEAP_LIVE);
    assert_true(harness_usable(p) >= 1);
    harness_check();
    assert_ptr_equal(resize(p, 0), p);
    harness_free(p);
    harness_free(q);
}

static void sizes_and_alignments_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 4095, PTRDIFF_MAX, PTRDIFF_MAX - SLICE_SIZE, (size_t)1 << 47,
                                   (size_t)1 << 48, ((size_t)1 << 48) - 1};
    bool is_zero;
    char *p = large(100000, 16, &is_zero);
    for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
        assert_null(large(sizes[i], 16, &is_zero));
        assert_null(resize(p, sizes[i]));
    }
    for (size_t align = (size_t)1 << 44; align != 0; align <<= 1)
        assert_null(large(100, align, &is_zero));
    assert_true(harness_usable(p) >= 100000);
    harness_check();
    harness_free(p);
}

static void is_zero_is_true_only_where_nothing_was(void **state)
{
    (void)state;
    uint64_t rng = unit_seed();
    int n_zero = 0;
    for (int i = 0; i < 400; i++) {
        bool is_zero;
        size_t size = unit_below(&rng, 40) == 0 ? 40 * MiB : unit_below(&rng, 3 * MiB) + 1;
        char *p = large(size, 16, &is_zero);
        size_t usable = harness_usable(p);
        n_zero += is_zero;
        for (size_t at = 0; is_zero && at < usable; at += 512)
            assert_int_equal(p[at], 0);
        for (size_t at = 0; at < usable; at += 512)
            p[at] = 1;
        p[usable - 1] = 1;
        if (unit_below(&rng, 3) == 0) {
            char *q = resize(p, unit_below(&rng, 6 * MiB) + 1);
            p = q == NULL ? p : q;
        }
        harness_free(p);
        if (unit_below(&rng, 20) == 0)
            trim();
    }
    assert_true(n_zero > 0);
    harness_check();
}

static void room_stays_until_the_block_gets_smaller(void **state)
{
    (void)state;
    bool is_zero;
    char *wall, *p = large(2 * MiB, 16, &is_zero);
    do
        wall = large(1, 16, &is_zero); /* until one stands right behind the block, so that it has to move */
    while (wall < p + 2 * MiB);
    char *q = resize(p, 4 * MiB);
    struct span *s = harness_span(q);
    uint32_t n_slices = s->n_slices;
    assert_true(n_slices > (4 * MiB >> SLICE_SHIFT));
    assert_ptr_equal(resize(q, 4 * MiB - 100), q);
    assert_int_equal(s->n_slices, n_slices);
    assert_int_equal(harness_usable(q), 4 * MiB);
    assert_ptr_equal(resize(q, 4 * MiB + 1), q);
    assert_int_equal(s->n_slices, n_slices);
    assert_ptr_equal(resize(q, 3 * MiB), q);
    assert_int_equal(s->n_slices, 3 * MiB >> SLICE_SHIFT);
    harness_check();
    harness_free(q);
}

static void nothing_behind_the_usable_size_is_the_block(void **state)
{
    (void)state;
    bool is_zero;
    char *p = large(70000, 16, &is_zero);
    struct heap_obj obj;
    assert_int_equal(harness_usable(p), 73728);
    assert_int_equal(heap_find_object((uintptr_t)p + 73727, &obj), HEAP_LIVE);
    assert_int_equal(obj.start, (uintptr_t)p);
    assert_int_equal(heap_find_object((uintptr_t)p + 73728, &obj), HEAP_NOT_A_BLOCK);
    assert_int_equal(heap_find_object((uintptr_t)p + 2 * SLICE_SIZE - 1, &obj), HEAP_NOT_A_BLOCK);
    harness_free(p);
    assert_int_equal(heap_find_object((uintptr_t)p, &obj), HEAP_NOT_A_BLOCK);
}

static size_t n_resident_pages(void *p, size_t bytes)
{
    unsigned char *vec = malloc(bytes / 4096);
    size_t n = 0;
    assert_int_equal(mincore(p, bytes, vec), 0);
    for (size_t i = 0; i < bytes / 4096; i++)
        n += vec[i] & 1;
    free(vec);
    return n;
}

static void a_moved_block_leaves_nothing_behind(void **state)
{
    (void)state;
    harness_needs_hardware();
    bool is_zero;
    char *p = large(8 * MiB, (size_t)64 << 20, &is_zero), *wall = large(1, 16, &is_zero);
    os_critical_enter();
    bool is_walled = arena_take_at((uintptr_t)p + 8 * MiB, 1);
    os_critical_leave();
    assert_true(is_walled || wall == p + 8 * MiB);
    memset(p, 3, 8 * MiB);
    char *q = resize(p, 16 * MiB);
    assert_ptr_not_equal(p, q);
    for (size_t at = 0; at < 8 * MiB; at += 4096)
        assert_int_equal(q[at], 3);
    assert_int_equal(n_resident_pages(p, 8 * MiB), 0);
    assert_int_equal(slice_of((uintptr_t)p)->span, 0);
    harness_free(q);
    harness_free(wall);
    if (is_walled) {
        os_critical_enter();
        arena_give((uintptr_t)p + 8 * MiB, 1);
        os_critical_leave();
    }
    harness_check();
}

static void a_special_block_does_not_move(void **state)
{
    (void)state;
    bool is_zero;
    char *p = large(MiB, 16, &is_zero);
    os_critical_enter();
    span_flag_set(harness_span(p), SPAN_SPECIAL);
    os_critical_leave();
    char *q = resize(p, 64 * MiB);
    assert_true(q == NULL || q == p);
    assert_ptr_equal(resize(p, 1000), p);
    harness_free(p);
}

static void the_estimate_follows_large_blocks_exactly(void **state)
{
    (void)state;
    bool is_zero;
    heap_recount();
    size_t before = heap_used_estimate();
    char *p = large(5 * MiB, 16, &is_zero);
    assert_int_equal(heap_used_estimate(), before + 5 * MiB);
    p = resize(p, 9 * MiB);
    assert_int_equal(heap_used_estimate(), before + 9 * MiB);
    p = resize(p, MiB);
    assert_int_equal(heap_used_estimate(), before + MiB);
    assert_int_equal(heap_recount(), before + MiB);
    harness_free(p);
    assert_int_equal(heap_used_estimate(), before);
}

/* ---- what a thread may leave half done when its process forks ---- */

static void expect_good_child(void (*half)(void *p), void *p)
{
    pid_t pid = fork();
    if (pid == 0) {
        alarm(20);
        os_critical_enter();
        half(p);
        heap_fork_child();
        heap_check();
        os_critical_leave();
        for (int i = 0; i < 200; i++) {
            bool is_zero;
            char *q = large((size_t)(i + 1) * 50000, 16, &is_zero);
            if (q == NULL || (is_zero && q[0] != 0))
                _exit(1);
            q[0] = 1;
        }
        harness_check();
        _exit(42);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

static void half_freed(void *p)
{
    harness_span(p)->words[0].free = 1;
}

static void half_grown(void *p)
{
    struct span *s = harness_span(p);
    uint32_t n = s->n_slices;
    CHECK(arena_take_at(s->start + ((uintptr_t)n << SLICE_SHIFT), 3));
    s->n_slices = n + 3; /* the table does not know yet */
}

static void half_shrunk(void *p)
{
    harness_span(p)->n_slices -= 5;
}

static void half_unpublished(void *p)
{
    slice_of((uintptr_t)p)->span = 0;
    slice_of((uintptr_t)p)->flavor = TOMB_FREED;
}

static void half_mapped(void *p)
{
    (void)p;
    uintptr_t end = heap_map.arena_base + arena_committed_bytes();
    CHECK(os_vm_map_at((void *)end, 4 << 20, true, false) == 0);
    for (uintptr_t at = (uintptr_t)heap_map.meta_base; os_vm_map_at((void *)at, 65536, true, false) != 0;)
        at += 65536; /* the first place behind meta that is free */
}

static void a_fork_child_mends_what_was_half_done(void **state)
{
    (void)state;
    harness_needs_hardware();
    bool is_zero;
    char *p = large(20 * MiB, 16, &is_zero);
    memset(p, 1, 20 * MiB);
    void (*const halves[])(void *) = {half_freed, half_grown, half_shrunk, half_unpublished, half_mapped};
    harness_free(large(30 * MiB, 16, &is_zero));
    for (size_t i = 0; i < N_ELEMENTS(halves); i++)
        expect_good_child(halves[i], p);
    harness_free(p);
}

static struct heap_use use_at(uint64_t now_ns)
{
    os_critical_enter();
    struct heap_use use = heap_use_lately(now_ns);
    os_critical_leave();
    return use;
}

/* A heap beyond 256 MiB is counted every 32 ms per GiB, and anew after a collection; a smaller one each time. */
static void asking_often_is_cheap(void **state)
{
    (void)state;
    const uint64_t ms = 1000000, start = 1000 * ms;
    bool is_zero;
    struct heap_use before = use_at(start - 100 * ms);
    void *p = large(100 * MiB, 16, &is_zero), *q = large(412 * MiB, 16, &is_zero), *r;
    struct heap_use after = use_at(start);
    assert_int_equal(after.used_bytes, before.used_bytes + 512 * MiB);
    assert_int_equal(after.n_used, before.n_used + 2);
    harness_free(p);
    assert_int_equal(use_at(start + 10 * ms).used_bytes, after.used_bytes);
    assert_int_equal(use_at(start + 17 * ms).n_used, before.n_used + 1);
    r = large(100 * MiB, 16, &is_zero);
    assert_int_equal(use_at(start + 18 * ms).n_used, before.n_used + 1);
    heap_set_used(after.used_bytes); /* as a collection does at its end */
    assert_int_equal(use_at(start + 19 * ms).n_used, before.n_used + 2);
    harness_free(q);
    harness_free(r);
    assert_int_equal(use_at(start + 19 * ms).used_bytes, before.used_bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_of_no_bytes_has_an_address_of_its_own),
        cmocka_unit_test(sizes_and_alignments_that_cannot_be_are_refused),
        cmocka_unit_test(is_zero_is_true_only_where_nothing_was),
        cmocka_unit_test(room_stays_until_the_block_gets_smaller),
        cmocka_unit_test(nothing_behind_the_usable_size_is_the_block),
        cmocka_unit_test(a_moved_block_leaves_nothing_behind),
        cmocka_unit_test(a_special_block_does_not_move),
        cmocka_unit_test(the_estimate_follows_large_blocks_exactly),
        cmocka_unit_test(asking_often_is_cheap),
        cmocka_unit_test(a_fork_child_mends_what_was_half_done),
    };
    return cmocka_run_group_tests(tests, harness_setup, NULL);
}
