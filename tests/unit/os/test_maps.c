/* The list of mappings: attributes, order, names with newlines, lines split over reads. */
#include "os_harness.h"

#include <fcntl.h>
#include <sys/stat.h>

static char walk_buf[65536];

struct wanted {
    uintptr_t addr;
    struct os_map found;
    char name[1024];
    unsigned n_found, n_all, n_wanted; /* n_wanted: end the walk after so many; 0: never */
    uintptr_t last_hi;
    bool is_ordered;
};

static bool look_for(const struct os_map *m, void *ctx)
{
    struct wanted *w = ctx;

    w->is_ordered &= m->lo >= w->last_hi && m->hi > m->lo;
    w->last_hi = m->hi;
    w->n_all++;
    if (m->lo <= w->addr && w->addr < m->hi) {
        w->found = *m;
        w->n_found++;
        snprintf(w->name, sizeof(w->name), "%s", m->name);
    }
    return w->n_all != w->n_wanted;
}

static struct wanted find_map(uintptr_t addr, size_t buf_size)
{
    struct wanted w = {.addr = addr, .is_ordered = true};

    assert_int_equal(os_maps_walk(walk_buf, buf_size, look_for, &w), 0);
    assert_true(w.is_ordered);
    return w;
}

static void finds_stack_data_and_text(void **state)
{
    int local = 0;
    struct wanted w = find_map((uintptr_t)&local, sizeof(walk_buf));

    (void)state;
    if (is_emulated())
        skip();
    assert_int_equal(w.n_found, 1);
    assert_true(w.found.is_readable && w.found.is_writable && !w.found.is_executable && !w.found.is_shared);
    assert_string_equal(w.name, "[stack]");
    w = find_map((uintptr_t)walk_buf, sizeof(walk_buf));
    assert_true(w.n_found == 1 && w.found.is_writable);
    w = find_map((uintptr_t)finds_stack_data_and_text, sizeof(walk_buf));
    assert_true(w.n_found == 1 && w.found.is_executable && !w.found.is_writable && w.found.inode != 0);
    assert_non_null(strstr(w.name, "/"));
    w = find_map(0, sizeof(walk_buf));
    assert_int_equal(w.n_found, 0);
    assert_true(w.n_all > 10);
}

static void finds_a_file_whose_name_has_a_newline(void **state)
{
    char path[] = "/tmp/os_maps_XXXXXX", name[128];
    struct wanted w;
    struct stat st;
    char *p;
    int fd;

    (void)state;
    assert_non_null(mkdtemp(path));
    snprintf(name, sizeof(name), "%s/one\ntwo  three\n", path);
    fd = open(name, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 16384), 0);
    assert_int_equal(fstat(fd, &st), 0);
    p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096);
    assert_true(p != MAP_FAILED);
    w = find_map((uintptr_t)p, sizeof(walk_buf));
    assert_int_equal(w.n_found, 1);
    assert_string_equal(w.name, name);
    assert_true(w.found.is_shared && w.found.offset == 4096 && w.found.inode == st.st_ino);
    assert_true(w.found.lo == (uintptr_t)p && w.found.hi == (uintptr_t)p + 8192);
    munmap(p, 8192);
    close(fd);
    unlink(name);
    rmdir(path);
}

static void lines_may_be_split_over_reads(void **state)
{
    struct wanted whole = find_map((uintptr_t)walk_buf, sizeof(walk_buf));

    (void)state;
    for (size_t buf_size = 256; buf_size < 600; buf_size += 7) { /* paths of test programs are shorter */
        struct wanted w = find_map((uintptr_t)walk_buf, buf_size);

        assert_int_equal(w.n_all, whole.n_all);
        assert_int_equal(w.n_found, 1);
        assert_string_equal(w.name, whole.name);
    }
}

static void a_walk_may_end_early(void **state)
{
    struct wanted w = {.addr = 0, .is_ordered = true, .n_wanted = 3};

    (void)state;
    assert_int_equal(os_maps_walk(walk_buf, sizeof(walk_buf), look_for, &w), 0);
    assert_int_equal(w.n_all, 3);
}

static void a_list_that_is_not_whole_is_told(void **state)
{
    struct wanted w = {.addr = 0, .is_ordered = true};

    (void)state;
    assert_int_equal(os_maps_walk(walk_buf, 20, look_for, &w), -E2BIG); /* no line fits */
#if GCM_CHECKING
    os_fault_set(SYS_openat, 0, 1, EACCES);
    assert_int_equal(os_maps_walk(walk_buf, sizeof(walk_buf), look_for, &w), -EACCES);
    os_fault_set(SYS_read, 1, 1, EIO);
    assert_int_equal(os_maps_walk(walk_buf, sizeof(walk_buf), look_for, &w), -EIO);
    os_fault_set(SYS_read, 0, 1, EINTR);
    assert_int_equal(os_maps_walk(walk_buf, sizeof(walk_buf), look_for, &w), 0);
    os_fault_set(FAULT_OFF, 0, 0, 0);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_stack_data_and_text),
        cmocka_unit_test(finds_a_file_whose_name_has_a_newline),
        cmocka_unit_test(lines_may_be_split_over_reads),
        cmocka_unit_test(a_walk_may_end_early),
        cmocka_unit_test(a_list_that_is_not_whole_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
