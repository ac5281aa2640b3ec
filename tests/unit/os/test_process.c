/* Which process this is: owner, child that shares memory, child that does not; and what may be called behind
 * a filter. */
#include "os_harness.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

static int group_setup(void **state)
{
    (void)state;
    os_process_init();
    os_process_init(); /* once more changes nothing */
    return 0;
}

static volatile int seen_in_child;

static void only_a_child_that_shares_memory_is_one(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    if (is_emulated())
        skip();
    assert_false(os_is_vfork_child());
    seen_in_child = -1;
    pid = vfork();
    if (pid == 0) {
        seen_in_child = os_is_vfork_child();
        os_exit_group(0);
    }
    waitpid(pid, &status, 0);
    assert_int_equal(seen_in_child, 1);
    assert_false(os_is_vfork_child());
}

static int ask_in_fork_child(void *arg)
{
    (void)arg;
    if (os_is_vfork_child()) /* nobody told it yet that it is one */
        return 1;
    os_process_fork_child();
    if (os_is_vfork_child())
        return 2;
    seen_in_child = -1;
    if (vfork() == 0) {
        seen_in_child = os_is_vfork_child();
        os_exit_group(0);
    }
    return seen_in_child == 1 ? 0 : 3;
}

static void a_fork_child_owns_its_memory(void **state)
{
    (void)state;
    if (is_emulated())
        skip();
    assert_int_equal(run_in_child(ask_in_fork_child, NULL), 0);
}

/* ---- behind a filter ---------------------------------------------------------------------- */

#define ALLOW_NUMBER(nr)                                                                                     \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

/* Kills at anything but what an allocator cannot do without. */
static int install_filter(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW_NUMBER(SYS_mmap),
        ALLOW_NUMBER(SYS_munmap),
        ALLOW_NUMBER(SYS_futex),
        ALLOW_NUMBER(SYS_write),
        ALLOW_NUMBER(SYS_clock_gettime),
        ALLOW_NUMBER(SYS_exit_group),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    os_seccomp_note(); /* as the wrapper does, before */
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int use_memory(void)
{
    size_t size = 4 * os_page_size();
    char *other = map_pages(4);
    char *place = map_pages(4);

    if (os_vm_unmap(place, size) != 0 || os_vm_map_at(place, size, true, true) != 0)
        return 1;
    memset(place, 1, size);
    if (os_vm_purge(place, size) != 1 || place[0] != 0 || place[size - 1] != 0)
        return 2;
    if (os_vm_hugepages(place, size, true) != -EPERM || os_vm_move(place, other, size) != -EPERM)
        return 3;
    return os_entropy() == os_entropy() || os_clock_ns() == 0 || os_clock_coarse_ns() == 0;
}

static int use_threads(void)
{
    static struct os_lock l = OS_LOCK_INIT(OS_RANK_META);
    uint32_t word = 0;

    os_critical_enter();
    os_lock(&l);
    os_unlock(&l);
    os_critical_leave();
    os_futex_wait(&word, 0, 1000);
    if (os_gettid() != OS_TID_UNKNOWN || os_thread_register() == NULL || os_is_vfork_child())
        return 4;
    os_process_fork_child();
    os_thread_fork_child();
    os_process_init();
    os_thread_unregister();
    return os_stop_prepare() != -EPERM ? 5 : 0;
}

static int live_behind_a_filter(void *arg)
{
    int err;

    (void)arg;
    if (install_filter() != 0)
        os_exit_group(99);
    err = use_memory();
    os_exit_group(err != 0 ? err : use_threads());
}

static void nothing_exotic_is_called_behind_a_filter(void **state)
{
    int status = run_in_child(live_behind_a_filter, NULL);

    (void)state;
    if (is_emulated())
        skip();
    if (WIFEXITED(status) && WEXITSTATUS(status) == 99)
        skip(); /* a kernel, or an emulator, without filters */
    assert_int_equal(status, 0);
}

static int find_inherited_filter(void *arg)
{
    struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {1, code};

    (void)arg;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        return 99;
    execl("/proc/self/exe", "test_process", "--is-filter-on", NULL);
    return 98;
}

static void an_inherited_filter_is_found(void **state)
{
    int status = run_in_child(find_inherited_filter, NULL);

    (void)state;
    if (is_emulated())
        skip();
    assert_false(os_seccomp_is_on());
    if (WIFEXITED(status) && WEXITSTATUS(status) == 99)
        skip();
    assert_int_equal(status, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_child_that_shares_memory_is_one),
        cmocka_unit_test(a_fork_child_owns_its_memory),
        cmocka_unit_test(nothing_exotic_is_called_behind_a_filter),
        cmocka_unit_test(an_inherited_filter_is_found),
    };

    if (argc == 2 && strcmp(argv[1], "--is-filter-on") == 0) {
        os_process_init();
        return os_seccomp_is_on() ? 0 : 1;
    }
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
