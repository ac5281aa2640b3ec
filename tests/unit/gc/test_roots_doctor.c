/* What the doctor says of a mapping is what the last scan did with it. */
#include "roots_harness.h"

#include <sys/auxv.h>

#include "gc/roots_doctor.h"
#include "os/probe.h"

static char text[256];

static const char *verdict(const volatile void *at, size_t size)
{
    struct fmt f = fmt_init(text, sizeof(text));

    assert_true(roots_put_verdict(&f, (uintptr_t)at, (uintptr_t)at + size) == (uintptr_t)at + size);
    return fmt_cstr(&f);
}

/* Between two pages that are read-only, so that the kernel joins it with no other. Its first page has content. */
static char *island(size_t n_pages)
{
    char *p = map_private((n_pages + 2) * PAGE);

    assert_int_equal(mprotect(p, PAGE, PROT_READ), 0);
    assert_int_equal(mprotect(p + (n_pages + 1) * PAGE, PAGE, PROT_READ), 0);
    p[PAGE] = 1;
    return p + PAGE;
}

static void island_unmap(char *p, size_t n_pages)
{
    munmap(p - PAGE, (n_pages + 2) * PAGE);
}

static void test_private(void **state)
{
    char *some = island(3), *none = island(2), *guard = island(2), *hidden = island(2);

    (void)state;
    madvise(none, PAGE, MADV_DONTNEED);
    madvise(guard, PAGE, MADV_DONTNEED);
    assert_int_equal(mprotect(guard, 2 * PAGE, PROT_NONE), 0);
    assert_int_equal(mprotect(hidden, 2 * PAGE, PROT_NONE), 0);
    assert_int_equal(scan(), SKIP_NONE);
    assert_string_equal(verdict(some, 3 * PAGE), "read: 4K with content of its own");
    assert_string_equal(verdict(none, 2 * PAGE), "skipped: no page with content of its own");
    assert_string_equal(verdict(guard, 2 * PAGE), "skipped: no page with content of its own");
    assert_string_equal(verdict(hidden, 2 * PAGE), "read through the kernel: 4K with content of its own");
    island_unmap(some, 3);
    island_unmap(none, 2);
    island_unmap(guard, 2);
    island_unmap(hidden, 2);
}

static void test_left_out(void **state)
{
    char *part = island(3), *whole = island(2);
    struct heap_range own = heap_own_words(0);
    volatile char here;

    (void)state;
    part[PAGE] = 1;
    assert_int_equal(roots_exclude(part + PAGE, PAGE), 0);
    assert_int_equal(roots_exclude(whole, 2 * PAGE), 0);
    assert_int_equal(scan(), SKIP_NONE);
    assert_string_equal(verdict(part, 3 * PAGE), "read: 4K with content of its own, 4K excluded by gc_exclude_roots");
    assert_string_equal(verdict(whole, 2 * PAGE), "skipped: 8K excluded by gc_exclude_roots");
    assert_non_null(strstr(verdict((void *)own.lo, own.hi - own.lo), " bytes of the library's own words"));
    assert_non_null(strstr(verdict(&here, 1), " of live stack"));
    assert_int_equal(roots_remove(part + PAGE, PAGE), 0);
    assert_int_equal(roots_remove(whole, 2 * PAGE), 0);
    assert_int_equal(scan(), SKIP_NONE);
    assert_string_equal(verdict(part, 3 * PAGE), "read: 8K with content of its own");
    assert_string_equal(verdict(whole, 2 * PAGE), "read: 4K with content of its own");
    island_unmap(part, 3);
    island_unmap(whole, 2);
}

static void test_shared(void **state)
{
    char named[] = "/tmp/gcm-roots-XXXXXX", device[] = "/dev/gcm-roots-XXXXXX";
    int fd = mkstemp(named), device_fd = mkstemp(device);
    char *memory = map_shared(-1, 2 * PAGE), *empty = map_shared(-1, 2 * PAGE), *file, *special = NULL;

    (void)state;
    assert_int_equal(ftruncate(fd, PAGE), 0);
    file = map_shared(fd, PAGE);
    if (device_fd >= 0 && ftruncate(device_fd, PAGE) == 0)
        special = map_shared(device_fd, PAGE);
    memory[0] = 1;
    assert_int_equal(roots_add(file + 8, 24), 0);
    assert_int_equal(scan(), SKIP_NONE);
    assert_string_equal(verdict(file, PAGE), "skipped: shared with a file, 24 bytes read as added by gc_add_roots");
    assert_int_equal(roots_remove(file + 8, 24), 0);
    assert_string_equal(verdict(file, PAGE), "skipped: shared with a file");
    assert_string_equal(verdict((void *)getauxval(AT_SYSINFO_EHDR), 1), "skipped: the kernel's");
    if (special != NULL)
        assert_string_equal(verdict(special, PAGE), "skipped: shared with a device, or with an object of the kernel's");
    if (!os_probe_swap_in_use()) {
        assert_string_equal(verdict(memory, 2 * PAGE), "read: 4K of shared memory");
        assert_string_equal(verdict(empty, 2 * PAGE), "skipped: shared memory, of which no page is there");
    }
    munmap(memory, 2 * PAGE);
    munmap(empty, 2 * PAGE);
    munmap(file, PAGE);
    if (special != NULL)
        munmap(special, PAGE);
    close(fd);
    unlink(named);
    if (device_fd >= 0) {
        close(device_fd);
        unlink(device);
    }
}

/* What is ours or new is not in the list of the last collection. A mapping that the kernel has joined from an old one and a new
 * one is told in parts. */
static void test_not_listed(void **state)
{
    char *p = island(4);
    struct fmt f = fmt_init(text, sizeof(text));
    void *ours;

    (void)state;
    os_critical_enter();
    ours = meta_scratch_reserve(SCRATCH_ROOTS, 1);
    os_critical_leave();
    assert_int_equal(munmap(p + PAGE, PAGE), 0);
    assert_int_equal(scan(), SKIP_NONE);
    assert_ptr_equal(mmap(p + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
                          0), p + PAGE);
    assert_true(roots_put_verdict(&f, (uintptr_t)p, (uintptr_t)p + 4 * PAGE) == (uintptr_t)p + PAGE);
    assert_string_equal(fmt_cstr(&f), "read: 4K with content of its own");
    f.len = 0;
    assert_true(roots_put_verdict(&f, (uintptr_t)p + PAGE, (uintptr_t)p + 4 * PAGE) == (uintptr_t)p + 2 * PAGE);
    assert_string_equal(fmt_cstr(&f), "skipped: newer than the last collection that looked");
    assert_non_null(strstr(verdict(ours, 1), "skipped: the library's own"));
    island_unmap(p, 4);
}

/* A collection that ended early says of no mapping that it was read. */
static void test_not_reached(void **state)
{
    char *p = island(2);
    unsigned long context = 0;

    (void)state;
    if (syscall(SYS_io_setup, 1, &context) != 0)
        skip();
    assert_int_equal(scan(), SKIP_IO_URING);
    assert_string_equal(verdict(p, 2 * PAGE), "read: not reached by the last collection");
    assert_string_equal(verdict((void *)context, 1), "skipped: a ring of the kernel's, which holds pointers that nobody can list");
    assert_int_equal(syscall(SYS_io_destroy, context), 0);
    assert_int_equal(scan(), SKIP_NONE);
    assert_string_equal(verdict(p, 2 * PAGE), "read: 4K with content of its own");
    island_unmap(p, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_private, next_seeds),
        cmocka_unit_test_setup(test_left_out, next_seeds),
        cmocka_unit_test_setup(test_shared, next_seeds),
        cmocka_unit_test_setup(test_not_listed, next_seeds),
        cmocka_unit_test_setup(test_not_reached, next_seeds),
    };

    return cmocka_run_group_tests(tests, setup_all, NULL);
}
