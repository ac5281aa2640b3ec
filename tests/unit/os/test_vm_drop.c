/* Many ranges given back at once: each goes, nothing else does, whatever the kernel makes of the one call. */
#include "os_harness.h"

#include <sys/syscall.h>

enum { N_PAGES = 4 * OS_VM_DROPS_MAX, N_DROPPED = N_PAGES / 2 };

static char *pages;

static char *page(int i)
{
    return pages + (size_t)i * os_page_size();
}

static int fill_all(void **state)
{
    (void)state;
    pages = map_pages(N_PAGES);
    memset(pages, 0x5a, N_PAGES * os_page_size());
    return 0;
}

static int unmap_all(void **state)
{
    (void)state;
    return munmap(pages, N_PAGES * os_page_size());
}

/* Every second page from the first on. */
static size_t drop_every_second(void)
{
    struct os_vm_drops drops;

    os_vm_drop_begin(&drops);
    for (int i = 0; i < N_PAGES; i += 2)
        os_vm_drop_soon(&drops, (uintptr_t)page(i), os_page_size());
    os_vm_drop_rest(&drops);
    assert_int_equal(drops.n, 0);
    return drops.n_bytes;
}

static void check_every_second(void)
{
    for (int i = 0; i < N_PAGES; i++) {
        for (size_t k = 0; k < os_page_size(); k += 64)
            assert_int_equal(page(i)[k], i % 2 == 0 ? 0 : 0x5a);
    }
}

static void each_range_goes_and_nothing_between(void **state)
{
    (void)state;
    if (is_emulated())
        skip();
    assert_int_equal(drop_every_second(), N_DROPPED * os_page_size());
    check_every_second();
}

static void neighbours_are_one_range(void **state)
{
    struct os_vm_drops drops;

    (void)state;
    if (is_emulated())
        skip();
    os_vm_drop_begin(&drops);
    for (int i = 0; i < N_PAGES / 2; i++)
        os_vm_drop_soon(&drops, (uintptr_t)page(i), os_page_size());
    assert_int_equal(drops.n, 1);
    os_vm_drop_rest(&drops);
    assert_int_equal(drops.n_bytes, N_PAGES / 2 * os_page_size());
    for (int i = 0; i < N_PAGES; i++)
        assert_int_equal(page(i)[1], i < N_PAGES / 2 ? 0 : 0x5a);
    os_vm_drop_rest(&drops); /* nothing is left to do */
    assert_int_equal(drops.n_bytes, N_PAGES / 2 * os_page_size());
}

/* The kernel ends at the first range that it refuses as it stands. */
static void a_locked_page_stops_none_of_the_others(void **state)
{
    (void)state;
    if (is_emulated() || mlock(page(8), os_page_size()) != 0)
        skip();
    assert_int_equal(drop_every_second(), N_DROPPED * os_page_size());
    check_every_second();
}

static void what_has_no_mapping_is_not_counted(void **state)
{
    (void)state;
    if (is_emulated())
        skip();
    munmap(page(8), os_page_size());
    assert_int_equal(drop_every_second(), (N_DROPPED - 1) * os_page_size());
    for (int i = 0; i < N_PAGES; i++)
        assert_true(i == 8 || page(i)[1] == (i % 2 == 0 ? 0 : 0x5a));
}

#if GCM_CHECKING
static void where_the_kernel_lacks_it_each_goes_alone(void **state)
{
    static const int errors[] = {EINVAL, EBADF};

    (void)state;
    if (is_emulated())
        skip();
    for (size_t i = 0; i < N_ELEMENTS(errors); i++) {
        memset(pages, 0x5a, N_PAGES * os_page_size());
        os_fault_set(440, 0, 1, errors[i]);
        assert_int_equal(drop_every_second(), N_DROPPED * os_page_size());
        os_fault_set(-2, 0, 0, 0);
        check_every_second();
    }
    memset(pages, 0x5a, N_PAGES * os_page_size());
    os_fault_set(440, 0, UINT32_MAX, ENOMEM); /* it is not asked again */
    assert_int_equal(drop_every_second(), N_DROPPED * os_page_size());
    os_fault_set(SYS_madvise, 0, UINT32_MAX, EINVAL);
    assert_int_equal(drop_every_second(), 0);
    os_fault_set(-2, 0, 0, 0);
}
#endif

static void one_by_one_if_told_so(void **state)
{
    (void)state;
    if (is_emulated())
        skip();
    os_vm_drop_singly();
    assert_int_equal(drop_every_second(), N_DROPPED * os_page_size());
    check_every_second();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_range_goes_and_nothing_between, fill_all, unmap_all),
        cmocka_unit_test_setup_teardown(neighbours_are_one_range, fill_all, unmap_all),
        cmocka_unit_test_setup_teardown(a_locked_page_stops_none_of_the_others, fill_all, unmap_all),
        cmocka_unit_test_setup_teardown(what_has_no_mapping_is_not_counted, fill_all, unmap_all),
#if GCM_CHECKING
        cmocka_unit_test_setup_teardown(where_the_kernel_lacks_it_each_goes_alone, fill_all, unmap_all),
#endif
        cmocka_unit_test_setup_teardown(one_by_one_if_told_so, fill_all, unmap_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
