/* The door to the kernel: results, errno, failures on demand. */
#include "os_harness.h"

static void results_and_errors_come_back_and_errno_stays(void **state)
{
    (void)state;
    errno = 4711;
    assert_int_equal(os_syscall(SYS_getppid, 0, 0, 0, 0, 0, 0), getppid());
    assert_int_equal(os_syscall(SYS_close, -1, 0, 0, 0, 0, 0), -EBADF);
    assert_int_equal(os_getpid(), getpid());
    assert_int_equal(os_gettid(), getpid());
    assert_int_equal(errno, 4711);
}

static void six_arguments_arrive(void **state)
{
    char text[] = "0123456789";
    int fds[2];
    long n;

    (void)state;
    n = os_syscall(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(n > 0);
    assert_int_equal(os_syscall(SYS_munmap, n, 4096, 0, 0, 0, 0), 0);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(os_write_all(fds[1], text, sizeof(text)), 0);
    memset(text, 0, sizeof(text));
    assert_int_equal(read(fds[0], text, sizeof(text)), sizeof(text));
    assert_string_equal(text, "0123456789");
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(os_write_all(fds[1], text, 1), -EBADF);
}

#if GCM_CHECKING
static long getppid_raw(void)
{
    return os_syscall(SYS_getppid, 0, 0, 0, 0, 0, 0);
}

static void the_wanted_calls_fail(void **state)
{
    (void)state;
    os_fault_set(SYS_getppid, 2, 3, ENOMEM);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(os_syscall(SYS_close, -1, 0, 0, 0, 0, 0), -EBADF); /* another number: not counted */
        assert_int_equal(getppid_raw(), i >= 2 && i < 5 ? -ENOMEM : getppid());
    }
    os_fault_set(FAULT_ANY, 1, 1, EIO);
    assert_int_equal(getppid_raw(), getppid());
    assert_int_equal(os_syscall(SYS_close, -1, 0, 0, 0, 0, 0), -EIO);
    assert_int_equal(getppid_raw(), getppid());
    os_fault_set(FAULT_ANY, 0, UINT32_MAX, EIO);
    os_fault_set(FAULT_OFF, 0, 0, 0);
    assert_int_equal(getppid_raw(), getppid());
}

static void writing_goes_on_after_an_interruption(void **state)
{
    int fds[2];
    char c = 0;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    os_fault_set(SYS_write, 0, 1, EINTR);
    assert_int_equal(os_write_all(fds[1], "x", 1), 0);
    os_fault_set(SYS_write, 0, 1, ENOSPC);
    assert_int_equal(os_write_all(fds[1], "x", 1), -ENOSPC);
    os_fault_set(FAULT_OFF, 0, 0, 0);
    assert_int_equal(read(fds[0], &c, 1), 1);
    assert_int_equal(c, 'x');
    close(fds[0]);
    close(fds[1]);
}

static int child_with_rule(void *arg)
{
    os_fault_set_from_text(arg);
    return getppid_raw() != getppid() || getppid_raw() != -ENOMEM || getppid_raw() != getppid();
}

static int child_with_bad_rule(void *arg)
{
    os_fault_set_from_text(arg);
    return getppid_raw() != getppid();
}

static void a_text_sets_a_rule(void **state)
{
    char rule[64];

    (void)state;
    snprintf(rule, sizeof(rule), "%d:1:1:%d", SYS_getppid, ENOMEM);
    assert_int_equal(run_in_child(child_with_rule, rule), 0);
    assert_int_equal(run_in_child(child_with_bad_rule, "-1:0:5:nonsense"), 0);
    assert_int_equal(run_in_child(child_with_bad_rule, ""), 0);
}
#endif

static int exit_with(void *arg)
{
    os_exit_group(*(int *)arg);
}

static void exit_ends_the_process(void **state)
{
    int wanted = 42;
    int status = run_in_child(exit_with, &wanted);

    (void)state;
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_and_errors_come_back_and_errno_stays),
        cmocka_unit_test(six_arguments_arrive),
#if GCM_CHECKING
        cmocka_unit_test(the_wanted_calls_fail),
        cmocka_unit_test(writing_goes_on_after_an_interruption),
        cmocka_unit_test(a_text_sets_a_rule),
#endif
        cmocka_unit_test(exit_ends_the_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
