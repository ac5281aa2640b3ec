/* Address space: mapping in place, giving back, moving, what the kernel refuses. */
#include "os_harness.h"

#include <fcntl.h>

static uintptr_t free_place(size_t n_pages)
{
    void *p = map_pages(n_pages);

    munmap(p, n_pages * os_page_size());
    return (uintptr_t)p;
}

static void fill(void *p, size_t n_pages, int byte)
{
    memset(p, byte, n_pages * os_page_size());
}

static bool is_filled(const char *p, size_t n_pages, int byte)
{
    for (size_t i = 0; i < n_pages * os_page_size(); i++) {
        if (p[i] != (char)byte)
            return false;
    }
    return true;
}

static void maps_exactly_there_and_replaces_nothing(void **state)
{
    size_t size = 4 * os_page_size();
    char *place = (char *)free_place(4);

    (void)state;
    assert_int_equal(os_vm_map_at(place, size, true, true), 0);
    assert_true(is_filled(place, 4, 0));
    fill(place, 4, 7);
    assert_int_equal(os_vm_map_at(place + 3 * os_page_size(), size, false, false), -EEXIST);
    assert_true(is_filled(place, 4, 7));
    assert_int_equal(os_vm_unmap(place, size), 0);
    assert_true(os_vm_map_at((void *)(1ul << 62), size, true, false) < 0);
}

static void purged_pages_read_as_zero(void **state)
{
    char *p = map_pages(4);

    (void)state;
    if (is_emulated())
        skip();
    fill(p, 4, 1);
    assert_int_equal(os_vm_purge(p, 4 * os_page_size()), 0);
    assert_true(is_filled(p, 4, 0));
    fill(p, 4, 2);
    if (mlock(p, 4 * os_page_size()) == 0) { /* needs MADV_DONTNEED_LOCKED, or zeroing by hand */
        int how = os_vm_purge(p, 4 * os_page_size());

        assert_true(how == 0 || how == 1);
        assert_true(is_filled(p, 4, 0));
    }
    munmap(p, 4 * os_page_size());
}

static void moves_pages(void **state)
{
    char *from = map_pages(4), *to = map_pages(4);

    (void)state;
    fill(from, 4, 3);
    assert_int_equal(os_vm_move(from, to, 4 * os_page_size()), 0);
    assert_true(is_filled(to, 4, 3));
    assert_true(is_filled(from, 4, 0));
    fill(from, 4, 4);
    assert_true(is_filled(to, 4, 3));
    munmap(from, 4 * os_page_size());
    munmap(to, 4 * os_page_size());
}

static void what_cannot_be_moved_is_told_and_the_target_stays(void **state)
{
    char *from = map_pages(4), *to = map_pages(4);

    (void)state;
    munmap(from, 4 * os_page_size());
    assert_true(os_vm_move(from, to, 4 * os_page_size()) < 0);
    fill(to, 4, 5);
    assert_true(is_filled(to, 4, 5));
    munmap(to, 4 * os_page_size());
}

static void advice_about_huge_pages(void **state)
{
    size_t size = 4 << 20;
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int err = os_vm_hugepages(p, size, true);

    (void)state;
    assert_true(err == 0 || err == -EINVAL); /* a kernel without huge pages */
    err = os_vm_hugepages(p, size, false);
    assert_true(err == 0 || err == -EINVAL);
    munmap(p, size);
}

static int look_at_canary(void *arg)
{
    (void)arg;
    if (*os_vm_fork_canary() != 0)
        return 1;
    if (os_is_vfork_child())
        return 2; /* a fork child does not share memory, told or not */
    os_process_fork_child();
    return *os_vm_fork_canary() == 0 ? 3 : 0;
}

static void the_canary_dies_in_a_fork_child(void **state)
{
    (void)state;
    if (is_emulated())
        skip();
    os_process_init();
    assert_non_null((void *)os_vm_fork_canary());
    assert_true(*os_vm_fork_canary() != 0);
    assert_int_equal(run_in_child(look_at_canary, NULL), 0);
    assert_true(*os_vm_fork_canary() != 0);
}

static void memory_is_counted(void **state)
{
    size_t before = os_vm_resident();
    char *p = map_pages(2048);

    (void)state;
    assert_true(before > 0);
    fill(p, 2048, 1);
    assert_true(os_vm_resident() >= before + 1024 * os_page_size());
    assert_true(os_vm_resident_peak() > 0);
    assert_true(os_vm_resident_peak() < SIZE_MAX);
    munmap(p, 2048 * os_page_size());
    assert_true(os_vm_available() > 1 << 20);
    assert_true(os_vm_cgroup_limit() > 1 << 20);
}

#if GCM_CHECKING
static void each_failure_of_the_kernel_is_met(void **state)
{
    size_t size = 4 * os_page_size();
    char *p = map_pages(4), *q = map_pages(4);
    char *place = (char *)free_place(4);

    (void)state;
    os_fault_set(SYS_mmap, 0, 1, ENOMEM);
    assert_int_equal(os_vm_map_at(place, size, true, true), -ENOMEM);
    os_fault_set(SYS_madvise, 0, 1, EINVAL); /* DONTDUMP refused: mapped all the same */
    assert_int_equal(os_vm_map_at(place, size, true, true), 0);
    os_fault_set(SYS_munmap, 0, 1, ENOMEM);
    assert_int_equal(os_vm_unmap(place, size), -ENOMEM);
    os_fault_set(FAULT_OFF, 0, 0, 0);
    assert_int_equal(os_vm_unmap(place, size), 0);

    fill(p, 4, 1);
    os_fault_set(SYS_madvise, 0, 2, EINVAL); /* locked, and a kernel before DONTNEED_LOCKED */
    assert_int_equal(os_vm_purge(p, size), 1);
    assert_true(is_filled(p, 4, 0));
    fill(p, 4, 1);
    mprotect(p, os_page_size(), PROT_NONE); /* zeroing by hand must open it */
    os_fault_set(SYS_madvise, 0, 2, EINVAL);
    assert_int_equal(os_vm_purge(p, size), 1);
    assert_true(is_filled(p, 4, 0));

    fill(p, 4, 6);
    os_fault_set(SYS_mremap, 0, 1, EINVAL); /* a kernel before DONTUNMAP */
    assert_int_equal(os_vm_move(p, q, size), -EINVAL);
    assert_true(is_filled(p, 4, 6));
    os_fault_set(FAULT_OFF, 0, 0, 0);
    munmap(q, size); /* as if the kernel had unmapped the target before it failed */
    os_fault_set(SYS_mremap, 0, 1, EFAULT);
    assert_int_equal(os_vm_move(p, q, size), -EFAULT);
    fill(q, 4, 7); /* it was closed */
    munmap(q, size);
    os_fault_set(FAULT_ANY, 0, 2, ENOMEM);
    assert_int_equal(os_vm_move(p, q, size), -ENOTRECOVERABLE);
    os_fault_set(FAULT_OFF, 0, 0, 0);
    munmap(p, size);
}

static void unreadable_figures_are_unknown(void **state)
{
    (void)state;
    os_fault_set(SYS_openat, 0, UINT32_MAX, EACCES);
    assert_true(os_vm_available() == SIZE_MAX);
    assert_true(os_vm_cgroup_limit() == SIZE_MAX);
    assert_int_equal(os_vm_resident(), 0);
    os_fault_set(SYS_read, 0, UINT32_MAX, EIO);
    assert_true(os_vm_available() == SIZE_MAX);
    os_fault_set(FAULT_OFF, 0, 0, 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_exactly_there_and_replaces_nothing),
        cmocka_unit_test(purged_pages_read_as_zero),
        cmocka_unit_test(moves_pages),
        cmocka_unit_test(what_cannot_be_moved_is_told_and_the_target_stays),
        cmocka_unit_test(advice_about_huge_pages),
        cmocka_unit_test(the_canary_dies_in_a_fork_child),
        cmocka_unit_test(memory_is_counted),
#if GCM_CHECKING
        cmocka_unit_test(each_failure_of_the_kernel_is_met),
        cmocka_unit_test(unreadable_figures_are_unknown),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
