/* Names of functions and variables of this very program, static ones too; of an exported function of libc; and none where
 * the file is another than what was loaded, or cannot be read. */
#include "os_harness.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/symbols.h"

static char planted_table[300];

__attribute__((noinline)) static int planted_function(int x)
{
    __asm__ volatile("" : "+r"(x));
    return x + 1;
}

static uintptr_t base_of(const void *in)
{
    Dl_info info;

    assert_true(dladdr(in, &info) != 0);
    return (uintptr_t)info.dli_fbase;
}

static void assert_called(struct os_symbols *s, const void *at, const char *name, uintptr_t offset)
{
    struct os_symbol found;

    assert_true(os_symbols_find(s, "/proc/self/exe", base_of((void *)base_of), (uintptr_t)at, &found));
    assert_string_equal(found.name, name);
    assert_int_equal(found.offset, offset);
}

static void test_own_names(void **state)
{
    struct os_symbols s = {0};

    (void)state;
    assert_int_equal(planted_function(1), 2);
    planted_table[1] = 1;
    assert_called(&s, planted_table, "planted_table", 0);
    assert_called(&s, planted_table + 299, "planted_table", 299);
    assert_called(&s, (const char *)(uintptr_t)planted_function + 1, "planted_function", 1);
    os_symbols_close(&s);
    assert_null(s.newest);
}

/* A library of the distribution is stripped: its exported names are there. */
static void test_exported_names(void **state)
{
    struct os_symbols s = {0};
    struct os_symbol found;
    Dl_info info;
    void *at = dlsym(RTLD_DEFAULT, "qsort_r");

    (void)state;
    assert_true(at != NULL && dladdr(at, &info) != 0);
    assert_true(os_symbols_find(&s, info.dli_fname, (uintptr_t)info.dli_fbase, (uintptr_t)at + 1, &found));
    assert_string_equal(found.name, "qsort_r");
    assert_int_equal(found.offset, 1);
    assert_int_equal(found.in_module, (uintptr_t)at + 1 - (uintptr_t)info.dli_fbase);
    os_symbols_close(&s);
}

static void test_no_names(void **state)
{
    struct os_symbols s = {0};
    struct os_symbol found;
    char path[] = "/tmp/gcm-symbols-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_false(os_symbols_find(&s, "/nowhere/at/all", base_of((void *)base_of), (uintptr_t)planted_table, &found));
    assert_false(os_symbols_find(&s, path, base_of((void *)base_of), (uintptr_t)planted_table, &found)); /* empty */
    assert_false(os_symbols_find(&s, "/proc/self/exe", base_of((void *)(uintptr_t)printf), (uintptr_t)planted_table, &found));
    /* Cut behind its head: the tables are not there. */
    int exe = open("/proc/self/exe", O_RDONLY);
    char head[4096];
    assert_int_equal(read(exe, head, sizeof(head)), sizeof(head));
    assert_int_equal(write(fd, head, sizeof(head)), sizeof(head));
    close(exe);
    close(fd);
    os_symbols_close(&s);
    if (os_symbols_find(&s, path, base_of((void *)base_of), (uintptr_t)planted_table, &found))
        assert_string_equal(found.name, "");
    os_symbols_close(&s);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_names),
        cmocka_unit_test(test_exported_names),
        cmocka_unit_test(test_no_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
