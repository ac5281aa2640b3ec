/* The fatal lines, word for word, from children that must die of SIGABRT. */
#include "base/check.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* Run fn in a child with fd 2 on a pipe; what it wrote comes back as a string. */
static void die_and_tell(void (*fn)(void), char *text, size_t cap)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL); /* cmocka catches it */
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        fn();
        _exit(0);
    }
    close(ends[1]);
    size_t len = 0;
    ssize_t n;
    while ((n = read(ends[0], text + len, cap - 1 - len)) > 0) {
        len += (size_t)n;
    }
    text[len] = '\0';
    char *remark = strstr(text, "qemu: "); /* an emulator has a line of its own to say */
    if (remark != NULL) {
        *remark = '\0';
    }
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void misuse_double_free(void)
{
    check_misuse(MISUSE_DOUBLE_FREE, (uintptr_t)0x7f00dead0010);
}

static void misuse_null(void)
{
    check_misuse(MISUSE_INVALID_FREE, 0);
}

static void misuse_long(void)
{
    char what[2000];
    memset(what, 'x', sizeof(what) - 1);
    what[sizeof(what) - 1] = '\0';
    check_misuse(what, 1);
}

static void failed_check(void)
{
    check_failed("heap/span.c", 42, "n_free <= n_blocks");
}

static int line_of_macro;
static void failed_macro(void)
{
    CHECK(line_of_macro == -1);
}

static void test_misuse_prints_one_fixed_line(void **state)
{
    (void)state;
    char text[4096];
    die_and_tell(misuse_double_free, text, sizeof(text));
    assert_string_equal(text, "libgcmalloc: double free: 0x7f00dead0010\n");
    die_and_tell(misuse_null, text, sizeof(text));
    assert_string_equal(text, "libgcmalloc: free of an address that is not a block: 0x0\n");
}

static void test_long_text_is_cut_and_still_a_line(void **state)
{
    (void)state;
    char text[4096];
    die_and_tell(misuse_long, text, sizeof(text));
    size_t len = strlen(text);
    assert_int_equal(len, 512);
    assert_ptr_equal(strchr(text, '\n'), text + len - 1);
    assert_int_equal(strncmp(text, "libgcmalloc: xxxx", 17), 0);
}

static void test_failed_names_place_and_condition(void **state)
{
    (void)state;
    char text[4096];
    die_and_tell(failed_check, text, sizeof(text));
    assert_string_equal(text, "libgcmalloc: internal error: heap/span.c:42: n_free <= n_blocks\n");
    die_and_tell(failed_macro, text, sizeof(text));
    assert_non_null(strstr(text, "test_check.c:"));
    assert_non_null(strstr(text, ": line_of_macro == -1\n"));
}

static void test_true_condition_goes_on(void **state)
{
    (void)state;
    int evaluated = 0;
    CHECK(++evaluated == 1);
    assert_int_equal(evaluated, 1);
    ASSERT(++evaluated == 2);
    assert_int_equal(evaluated, GCM_CHECKING ? 2 : 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_misuse_prints_one_fixed_line),
        cmocka_unit_test(test_long_text_is_cut_and_still_a_line),
        cmocka_unit_test(test_failed_names_place_and_condition),
        cmocka_unit_test(test_true_condition_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
