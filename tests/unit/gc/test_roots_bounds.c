/* Where a scan ends or gives up: its bounds, what it trusts, lists that are cut short; and zones. */
#include "roots_harness.h"

#include "gc/roots_int.h"
#include "os/probe.h"

#define GiB ((size_t)1 << 30)

/* ---- a scan that is interfered with -------------------------------------------------------------------------- */

/* Called with the first words of a scan, which lie on a stack: lists are read, no mapping is. */
static void (*at_first_words)(void);

static void (*at_words)(uintptr_t lo); /* with all words that are read by the plain rule */

static void at_once(void)
{
    void (*fn)(void) = at_first_words;

    at_first_words = NULL;
    if (fn != NULL)
        fn();
}

static void words(uintptr_t lo, uintptr_t hi)
{
    at_once();
    if (at_words != NULL)
        at_words(lo);
    record_words(lo, hi);
}

static void stack_words(uintptr_t lo, uintptr_t hi)
{
    at_once();
    record_stack_words(lo, hi);
}

static enum cycle_skip scan_with(void (*before)(void), void (*at_first)(void))
{
    static const struct roots_sink sink = {words, record_unaligned, stack_words, record_block, record_unaligned};
    enum cycle_skip skip;

    before_scan = before;
    at_first_words = at_first;
    scan_sink = &sink;
    skip = scan();
    assert_true(skip != SKIP_NONE || at_first_words == NULL);
    before_scan = NULL;
    at_first_words = NULL;
    scan_sink = &recorder;
    return skip;
}

static void without_pagemap(void)
{
    assert_true(roots_open());
    roots.has_pagemap = false;
}

static void with_swap(void)
{
    roots.has_swap = true;
}

static void without_swap(void)
{
    roots.has_swap = false;
}

static uint64_t n_read_at(const void *p)
{
    const struct roots_map *m = roots_maps_find((uintptr_t)p);

    return m != NULL ? m->n_read : 0;
}

/* ---- reading in the dark ------------------------------------------------------------------------------------- */

static void test_in_the_dark_little_is_read(void **state)
{
    char *p = map_private(PAGE);

    (void)state;
    plant(p, 0);
    assert_int_equal(scan_with(without_pagemap, NULL), SKIP_NONE);
    assert_true(found[0] != 0);
    char *large = map_private(GiB + PAGE);
    assert_int_equal(scan_with(without_pagemap, NULL), SKIP_NO_PAGEMAP);
    assert_int_equal(scan(), SKIP_NONE);
    munmap(large, GiB + PAGE);
    munmap(p, PAGE);
}

/* Of a file whose pages nobody can ask for, and of memory while something is swapped out. */
static void test_large_shared_memory_is_not_read_whole(void **state)
{
    char deleted[] = "/tmp/gcm-roots-XXXXXX";
    int fds[] = {mkstemp(deleted), memfd_create("roots", MFD_CLOEXEC)};

    (void)state;
    unlink(deleted);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ftruncate(fds[i], PAGE), 0);
        char *p = map_shared(fds[i], GiB); /* nearly all of it behind the end of the file */
        plant(p, 0);
        assert_int_equal(scan_with(NULL, with_swap), SKIP_NONE);
        assert_true(found[0] != 0);
        munmap(p, GiB);
        p = map_shared(fds[i], GiB + PAGE);
        assert_int_equal(scan_with(NULL, with_swap), SKIP_TOO_MANY_ROOTS);
        munmap(p, GiB + PAGE);
        close(fds[i]);
    }
}

/* What the system calls not resident may be swapped out. */
static char *half;

static bool scan_while_all_may_be_swapped_out(void)
{
    deny(SYS_sysinfo, EPERM); /* nobody knows: as if something were */
    return scan() == SKIP_NONE && n_read_at(half) == 2 * PAGE;
}

static bool scan_while_swapping_begins(void)
{
    deny(SYS_sysinfo, EPERM);
    return scan_with(NULL, without_swap) == SKIP_NO_PAGEMAP;
}

static void test_swapped_out_memory_is_no_empty_memory(void **state)
{
    (void)state;
    half = map_shared(-1, 2 * PAGE);
    half[0] = 1;
    in_child(scan_while_swapping_begins);
    in_child(scan_while_all_may_be_swapped_out);
    munmap(half, 2 * PAGE);
}

/* ---- devices ------------------------------------------------------------------------------------------------- */

/* Where nobody says which pages have content, the kernel is asked for those of devices: what it lets be read is a root, what it
 * refuses, here for want of a file behind it, is none, and no reason to give up. */
static void test_devices_in_the_dark(void **state)
{
    char *good = map_device(PAGE), *bad = map_device(0);

    (void)state;
    plant(good + 8, 0);
    assert_int_equal(scan_with(without_pagemap, with_swap), SKIP_NONE);
    assert_true(found[0] != 0);
    assert_true(n_read_at(good) == PAGE);
    assert_true(n_read_at(bad) == 0);
    munmap(good, PAGE);
    munmap(bad, PAGE);
}

/* ---- how much ------------------------------------------------------------------------------------------------ */

static void almost_too_much(void)
{
    roots.n_bytes = ROOTS_MAX_BYTES - 1;
}

static void test_no_more_than_so_much_is_read(void **state)
{
    (void)state;
    assert_int_equal(scan_with(NULL, almost_too_much), SKIP_TOO_MANY_ROOTS);
    assert_int_equal(scan(), SKIP_NONE);
}

static void test_no_more_than_so_much_is_asked_about(void **state)
{
    int fd = memfd_create("roots", MFD_CLOEXEC);
    char *p[2];

    (void)state;
    for (int i = 0; i < 2; i++)
        p[i] = mmap(NULL, 9 * GiB, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
    assert_ptr_not_equal(p[0], MAP_FAILED);
    assert_ptr_not_equal(p[1], MAP_FAILED);
    assert_int_equal(scan_with(NULL, without_swap), SKIP_TOO_MANY_ROOTS);
    munmap(p[1], 9 * GiB);
    assert_int_equal(scan_with(NULL, without_swap), SKIP_NONE);
    munmap(p[0], 9 * GiB);
    close(fd);
}

static uint64_t estimate;

static void make_estimate(void)
{
    assert_true(roots_maps_collect() && roots_open());
    estimate = roots_maps_estimate();
    roots_finish();
}

static void test_estimate(void **state)
{
    enum { N_PAGES = 1000 };
    char *p = map_private(2 * N_PAGES * PAGE);

    (void)state;
    assert_int_equal(scan_with(make_estimate, NULL), SKIP_NONE);
    uint64_t before = estimate;
    for (size_t i = 0; i < N_PAGES; i++)
        p[i * PAGE] = 1;
    assert_int_equal(scan_with(make_estimate, NULL), SKIP_NONE);
    assert_true(estimate >= before + (N_PAGES - 16) * PAGE);
    assert_true(estimate <= before + (2 * N_PAGES + 512) * PAGE); /* huge pages have more */
    munmap(p, 2 * N_PAGES * PAGE);
}

static bool was_prepared;

static void note_prepared(void)
{
    was_prepared = true;
}

/* What is too much is known before anybody is stopped. The same little memory is mapped again and again. */
static void test_too_much_is_known_before_the_stop(void **state)
{
    const size_t shared_size = GiB / 64, own_size = 3 * GiB / 32;
    const size_t n_times = 16 * 64 - 4;
    int fd = memfd_create("roots", MFD_CLOEXEC);
    char *at = mmap(NULL, n_times * shared_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    (void)state;
    assert_ptr_not_equal(at, MAP_FAILED);
    assert_int_equal(ftruncate(fd, (off_t)shared_size), 0);
    for (size_t i = 0; i < n_times; i++)
        assert_ptr_not_equal(mmap(at + i * shared_size, shared_size, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0), MAP_FAILED);
    char *own = map_private(own_size);
    for (size_t i = 0; i < own_size; i += PAGE)
        own[i] = 1;
    was_prepared = false;
    assert_int_equal(scan_with(note_prepared, NULL), SKIP_TOO_MANY_ROOTS);
    assert_false(was_prepared);
    munmap(own, own_size);
    munmap(at, n_times * shared_size);
    close(fd);
}

/* ---- lists that are cut short -------------------------------------------------------------------------------- */

static char *pieces;
enum { N_PIECES = 6000 };

static void make_many_mappings(void)
{
    for (size_t i = 0; i < N_PIECES; i += 2)
        mprotect(pieces + i * PAGE, PAGE, PROT_READ);
}

/* More of them than there is room for: this time the roots are not complete, the next time they are. */
static void test_more_mappings_than_expected(void **state)
{
    (void)state;
    pieces = map_private(N_PIECES * PAGE);
    plant(pieces + (N_PIECES - 1) * PAGE, 0);
    assert_int_equal(scan(), SKIP_NONE);
    assert_int_equal(scan_with(make_many_mappings, NULL), SKIP_NO_MEMORY);
    int n_scans = 1;
    while (n_scans < 5 && scan() == SKIP_NO_MEMORY)
        n_scans++;
    assert_int_equal(last_skip, SKIP_NONE);
    assert_true(found[0] != 0);
    roots.n_maps_hint = 0; /* as in a program that begins with so many */
    assert_int_equal(scan(), SKIP_NONE);
    assert_true(found[0] != 0);
    munmap(pieces, N_PIECES * PAGE);
}

static void hide_descriptors(void)
{
    deny(SYS_getdents64, 0);
}

static bool scan_without_descriptors(void)
{
    return scan_with(NULL, hide_descriptors) == SKIP_NO_PROC;
}

static void test_empty_list_of_descriptors(void **state)
{
    (void)state;
    in_child(scan_without_descriptors);
}

#if GCM_CHECKING
/* The kernel gives 12 bytes: what follows lies between the words. */
static char *closed;

static void cut_next_copy(uintptr_t lo)
{
    if (lo >= (uintptr_t)closed - PAGE && lo < (uintptr_t)closed)
        os_fault_set(SYS_pread64, 0, 1, -12);
}

static void test_copy_that_ends_within_a_word(void **state)
{
    (void)state;
    char *p = map_private(2 * PAGE);
    closed = p + PAGE;
    plant(p + 64, 1);
    plant(closed + 64, 0);
    assert_int_equal(mprotect(closed, PAGE, PROT_NONE), 0);
    at_words = cut_next_copy;
    assert_int_equal(scan_with(NULL, NULL), SKIP_FAULT);
    at_words = NULL;
    assert_int_equal(scan(), SKIP_NONE);
    assert_true(found[0] != 0 && found[1] != 0);
    munmap(p, 2 * PAGE);
}

/* A line that fills the buffer. */
static void begin_long_line(void)
{
    for (size_t i = 0; i < ROOTS_TEXT_BYTES; i++)
        roots.text[i] = 'x';
    os_fault_set(SYS_read, 0, 1, -ROOTS_TEXT_BYTES);
}

static void test_line_without_end(void **state)
{
    int epfd = epoll_create1(EPOLL_CLOEXEC);

    (void)state;
    assert_int_equal(scan_with(NULL, begin_long_line), SKIP_NO_PROC);
    assert_int_equal(scan(), SKIP_NONE);
    close(epfd);
}
#endif

/* ---- our own mappings ---------------------------------------------------------------------------------------- */

static bool is_in_mapping_from_below(const char *p)
{
    FILE *f = fopen("/proc/self/maps", "r");
    unsigned long lo, hi;
    char line[512];
    bool is_found = false;

    assert_non_null(f);
    while (fgets(line, sizeof(line), f) != NULL)
        is_found |= sscanf(line, "%lx-%lx", &lo, &hi) == 2 && lo < (uintptr_t)p && (uintptr_t)p < hi;
    fclose(f);
    return is_found;
}

/* Whether the kernel has made one mapping of it and what lies before it: it does where they have the same attributes. */
static bool is_joined_from_below(char *p)
{
    static const int advice[] = {MADV_NORMAL, MADV_DONTDUMP, MADV_NOHUGEPAGE, MADV_DODUMP};

    for (size_t i = 0; i < N_ELEMENTS(advice); i++) {
        madvise(p, PAGE, advice[i]);
        if (is_in_mapping_from_below(p))
            return true;
    }
    return false;
}

/* Right behind a piece of ours, in one mapping with it. NULL: of no piece. */
static char *neighbour_of_ours(void)
{
    struct heap_range own;

    for (uintptr_t at = 0; heap_next_own(at, &own); at = own.hi) {
        char *p = mmap((void *)own.hi, PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

        if (p == MAP_FAILED)
            continue;
        if ((uintptr_t)p == own.hi && is_joined_from_below(p))
            return p;
        munmap(p, PAGE);
    }
    return NULL;
}

static void test_neighbour_of_ours(void **state)
{
    char *p = neighbour_of_ours();

    (void)state;
    if (p == NULL)
        skip();
    plant(p + 8, 0);
    assert_int_equal(scan(), SKIP_NONE);
    assert_true(found[0] != 0);
    assert_true(found_at[0] - (uintptr_t)p < PAGE);
    munmap(p, PAGE);
}

/* ---- zones --------------------------------------------------------------------------------------------------- */

static void test_zones_that_overlap(void **state)
{
    struct roots_zone room[8];
    struct roots_zones z = {room, 0, N_ELEMENTS(room)};
    uintptr_t end = 1000;

    (void)state;
    roots_zones_add(&z, 300, 400, ROOTS_ZONE_DEAD);
    roots_zones_add(&z, 100, 200, ROOTS_ZONE_DEAD);
    roots_zones_add(&z, 150, 250, ROOTS_ZONE_DEAD);
    roots_zones_add(&z, 160, 170, ROOTS_ZONE_DEAD);
    roots_zones_add(&z, 400, 500, ROOTS_ZONE_STACK);
    roots_zones_seal(&z, ROOTS_ZONE_STACK);
    assert_int_equal(z.n, 3);
    assert_int_equal(roots_zones_at(&z, 100, &end), ROOTS_ZONE_STACK);
    assert_int_equal(end, 250);
    end = 1000;
    assert_int_equal(roots_zones_at(&z, 250, &end), ROOTS_ZONE_PLAIN);
    assert_int_equal(end, 300);
    assert_int_equal(roots_zones_at(&z, 399, &end), ROOTS_ZONE_DEAD);
    end = 1000;
    assert_int_equal(roots_zones_at(&z, 400, &end), ROOTS_ZONE_STACK);
    assert_int_equal(end, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_in_the_dark_little_is_read, next_seeds),
        cmocka_unit_test_setup(test_large_shared_memory_is_not_read_whole, next_seeds),
        cmocka_unit_test_setup(test_swapped_out_memory_is_no_empty_memory, next_seeds),
        cmocka_unit_test_setup(test_devices_in_the_dark, next_seeds),
        cmocka_unit_test_setup(test_no_more_than_so_much_is_read, next_seeds),
        cmocka_unit_test_setup(test_no_more_than_so_much_is_asked_about, next_seeds),
        cmocka_unit_test_setup(test_estimate, next_seeds),
        cmocka_unit_test_setup(test_too_much_is_known_before_the_stop, next_seeds),
        cmocka_unit_test_setup(test_more_mappings_than_expected, next_seeds),
        cmocka_unit_test_setup(test_empty_list_of_descriptors, next_seeds),
#if GCM_CHECKING
        cmocka_unit_test_setup(test_copy_that_ends_within_a_word, next_seeds),
        cmocka_unit_test_setup(test_line_without_end, next_seeds),
#endif
        cmocka_unit_test_setup(test_neighbour_of_ours, next_seeds),
        cmocka_unit_test(test_zones_that_overlap),
    };

    return cmocka_run_group_tests(tests, setup_all, NULL);
}
