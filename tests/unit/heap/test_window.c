/* The window: parts in order, at addresses that data does not imitate; growth at the end of a part, and what is in its way. */
#include "heap/window.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "heap_harness.h"

enum { STEP = 65536 };
#define GiB ((uintptr_t)1 << 30)
#define LARGE_ARENA_BYTES (3840 * GiB)

static void parts_lie_in_order_and_do_not_touch(void **state)
{
    (void)state;
    assert_int_equal(window.scratch, window.base);
    assert_true(window.scratch + SCRATCH_N * window.scratch_region_bytes <= window.slices);
    assert_true(window.slices + (window.arena_max_bytes >> SLICE_SHIFT) * sizeof(struct slice) <= window.arena_words);
    assert_true(window.arena_words + window.arena_max_bytes / (2 * SLICE_SIZE) < window.meta); /* 32 bytes for 64 slices */
    assert_true(window.meta < window.arena);
    assert_true(window.arena + window.arena_max_bytes <= window.end);
    assert_int_equal(heap_map.window_lo, window.base);
    assert_int_equal(heap_map.window_hi, window.end);
}

/* The upper half of a pointer, or a small number, below half a word of anything: the first GiB of blocks lies at no such
 * address. (Once one planted leak in four hundred was held by two words of a library's data that touched.) */
static void no_pair_of_halves_points_to_the_first_blocks(void **state)
{
    (void)state;
    uint32_t first = (uint32_t)window.arena;
    assert_true(first > UINT16_MAX);
    assert_true(first < UINT32_MAX - UINT16_MAX - GiB);
    assert_int_equal(window.arena % (2 << 20), 0); /* huge pages */
}

/* Where the address space has 47 bits: bits 44 to 46 are fixed, and byte 5 is one that no text has. */
static void the_arena_lies_where_data_does_not_point(void **state)
{
    (void)state;
    if (window.arena_max_bytes < LARGE_ARENA_BYTES)
        skip();
    unsigned first = (unsigned)(window.arena >> 40), last = (unsigned)((window.end - 1) >> 40);
    assert_true((first >= 0x16 && last <= 0x1f) || (first >= 0x05 && last <= 0x0f));
    assert_int_equal(window.arena >> 47, 0);
}

/* Page tables are pages: one for each GiB, and one for each 512 GiB, in which a process touches anything. */
static void what_small_processes_touch_is_near(void **state)
{
    (void)state;
    if (window.arena_max_bytes < LARGE_ARENA_BYTES)
        skip();
    assert_int_equal(window.slices / GiB, window.arena_words / GiB);
    assert_int_equal(window.slices / GiB, window.meta / GiB);
    assert_int_equal(window.slices / (512 * GiB), (window.arena + GiB) / (512 * GiB));
}

/* A place in the last scratch region, which is empty: nobody grows there. */
static uintptr_t spare(void)
{
    return window.scratch + SCRATCH_OTHER * window.scratch_region_bytes;
}

static void growth_is_exact_zeroed_and_in_place(void **state)
{
    (void)state;
    size_t mapped = 0;
    char *p = (char *)spare();
    assert_true(window_grow(spare(), &mapped, 1, STEP));
    assert_int_equal(mapped, STEP);
    p[STEP - 1] = 5;
    assert_true(window_grow(spare(), &mapped, STEP, STEP));
    assert_int_equal(mapped, STEP);
    assert_true(window_grow(spare(), &mapped, STEP + 1, STEP));
    assert_int_equal(mapped, 2 * STEP);
    assert_int_equal(p[STEP - 1], 5);
    assert_int_equal(p[2 * STEP - 1], 0);
    assert_int_equal(os_vm_unmap(p, mapped), 0);
}

static void growth_never_replaces_what_is_there(void **state)
{
    (void)state;
    size_t mapped = 0;
    char *foreign = (char *)spare() + STEP;
    assert_int_equal(os_vm_map_at(foreign, STEP, true, false), 0);
    *foreign = 7;
    assert_true(window_grow(spare(), &mapped, STEP, STEP));
    assert_false(window_grow(spare(), &mapped, STEP + 1, STEP));
    assert_int_equal(mapped, STEP);
    assert_int_equal(*foreign, 7);
    window_forget_unrecorded(spare() + mapped); /* nothing of ours: it stays */
    assert_false(window_grow(spare(), &mapped, STEP + 1, STEP));
    assert_int_equal(*foreign, 7);
    os_vm_unmap((void *)spare(), 2 * STEP);
}

static atomic_bool is_over;
static size_t grown;

static void *grow_in_vain(void *arg)
{
    while (!is_over)
        assert_false(window_grow(spare(), &grown, STEP + 1, STEP));
    return arg;
}

/* The child of a fork that falls into a growth that fails finds the same record as one that falls into one that succeeds. */
static void what_is_in_the_way_of_a_growth_outlives_a_fork(void **state)
{
    (void)state;
    enum { N_LOOKS = 20000 };
    pthread_t thread;
    volatile char *foreign = (char *)spare() + STEP;
    assert_int_equal(os_vm_map_at((void *)foreign, STEP, true, false), 0);
    *foreign = 7;
    grown = STEP;
    assert_int_equal(pthread_create(&thread, NULL, grow_in_vain, NULL), 0);
    for (unsigned i = 0; i < N_LOOKS && os_vm_map_at((void *)foreign, STEP, true, false) == -EEXIST; i++)
        window_forget_unrecorded(spare() + STEP);
    is_over = true;
    pthread_join(thread, NULL);
    assert_int_equal(*foreign, 7);
    os_vm_unmap((void *)spare(), 2 * STEP);
}

enum { GROW_ON_MAX = 1 << 30 }; /* of addresses; a machine that forks slowly would run out of them */

static void *grow_on(void *arg)
{
    while (!is_over && grown < GROW_ON_MAX)
        assert_true(window_grow(spare(), &grown, grown + 1, STEP));
    return arg;
}

static void a_part_grows_on_in_the_child_of_a_fork(void **state)
{
    (void)state;
    enum { N_FORKS = 300 };
    pthread_t thread;
    grown = 0;
    is_over = false;
    assert_int_equal(pthread_create(&thread, NULL, grow_on, NULL), 0);
    for (unsigned i = 0; i < N_FORKS; i++) {
        int status;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            window_forget_unrecorded(spare() + grown);
            _exit(window_grow(spare(), &grown, grown + 1, STEP) ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
    is_over = true;
    pthread_join(thread, NULL);
    os_vm_unmap((void *)spare(), grown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_lie_in_order_and_do_not_touch),
        cmocka_unit_test(no_pair_of_halves_points_to_the_first_blocks),
        cmocka_unit_test(the_arena_lies_where_data_does_not_point),
        cmocka_unit_test(what_small_processes_touch_is_near),
        cmocka_unit_test(growth_is_exact_zeroed_and_in_place),
        cmocka_unit_test(growth_never_replaces_what_is_there),
        cmocka_unit_test(what_is_in_the_way_of_a_growth_outlives_a_fork),
        cmocka_unit_test(a_part_grows_on_in_the_child_of_a_fork),
    };
    return cmocka_run_group_tests(tests, harness_setup, NULL);
}
