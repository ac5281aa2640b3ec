/* The window's place: chosen again where something is in the way, in a smaller layout where addresses are few, given up
 * cleanly where there is no memory. */
#include <errno.h>

#include "heap/window.h"
#include "heap_harness.h"
#include "os_fake.h"

#define GiB ((size_t)1 << 30)

static int reset(void **state)
{
    (void)state;
    os_fake_reset();
    return 0;
}

static void a_place_that_is_taken_is_not_ours(void **state)
{
    (void)state;
    assert_true(window_init(0));
    char *taken = (char *)window.slices;
    *taken = 9;
    os_fake_reset(); /* the same place is drawn again */
    uintptr_t first = window.slices;
    assert_true(window_init(0));
    assert_int_not_equal(window.slices, first);
    assert_int_equal(*taken, 9);
    assert_int_equal(os_fake_count(OS_FAKE_MAP), 2);
    window_fini();
    os_vm_unmap(taken, 65536);
}

static void few_addresses_mean_a_smaller_layout(void **state)
{
    (void)state;
    static const size_t max_bytes[] = {3840 * GiB, 3840 * GiB, 64 * GiB, 32 * GiB};
    for (unsigned i = 0; i < N_ELEMENTS(max_bytes); i++) {
        os_fake_fail(OS_FAKE_MAP, i == 0 ? 0 : 1, i, -ENOMEM);
        assert_true(window_init(0));
        assert_int_equal(window.arena_max_bytes, max_bytes[i]);
        assert_true(window.end <= (uintptr_t)1 << (i < 2 ? 47 : 39));
        assert_true(window.slices + (window.arena_max_bytes >> SLICE_SHIFT) * sizeof(struct slice) <= window.arena_words);
        assert_true(window.scratch + SCRATCH_N * window.scratch_region_bytes <= window.slices);
        window_fini();
    }
}

static void a_cap_rounds_up_to_slices_and_never_raises(void **state)
{
    (void)state;
    assert_true(window_init(100 * GiB + 1));
    assert_int_equal(window.arena_max_bytes, 100 * GiB + SLICE_SIZE);
    window_fini();
    assert_true(window_init(8192 * GiB));
    assert_int_equal(window.arena_max_bytes, 3840 * GiB);
    window_fini();
}

/* What keeps the first structures from their place is not ours, and stays there. */
static void a_failed_start_takes_nothing_away(void **state)
{
    (void)state;
    static const struct heap_config config = {0};
    assert_true(window_init(0));
    char *foreign = (char *)window.meta;
    window_fini();
    assert_int_equal(os_vm_map_at(foreign, 65536, true, false), 0);
    *foreign = 9;
    os_fake_reset(); /* the same place is drawn again */
    os_critical_enter();
    assert_false(heap_init(&config));
    os_critical_leave();
    assert_int_equal(*(volatile char *)foreign, 9);
    assert_int_equal(os_vm_unmap(foreign, 65536), 0);
    assert_int_equal(os_fake_count(OS_FAKE_UNMAP), 2);
}

static void no_memory_is_not_for_ever(void **state)
{
    (void)state;
    static const struct heap_config config = {0};
    os_critical_enter();
    for (unsigned nth = 1; nth <= 2; nth++) {
        os_fake_fail(OS_FAKE_MAP, nth, 1000, -ENOMEM);
        assert_false(heap_init(&config));
        assert_false(heap_is_ready());
        assert_false(heap_contains(0x150000000000));
        assert_int_equal(heap_map.arena_bytes, 0);
    }
    os_fake_fail(OS_FAKE_MAP, 0, 0, 0);
    assert_true(heap_init(&config));
    assert_true(heap_init(&config));
    os_critical_leave();
    void *p = harness_alloc(100);
    assert_non_null(p);
    harness_check();
    harness_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_place_that_is_taken_is_not_ours, reset),
        cmocka_unit_test_setup(few_addresses_mean_a_smaller_layout, reset),
        cmocka_unit_test_setup(a_cap_rounds_up_to_slices_and_never_raises, reset),
        cmocka_unit_test_setup(a_failed_start_takes_nothing_away, reset),
        cmocka_unit_test_setup(no_memory_is_not_for_ever, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
