/* The kernel's list of threads, with the main thread gone too; states and masks. */
#include "os_harness.h"

#include <limits.h>
#include <sys/prctl.h>

enum { N_THREADS = 40, N_MAX = 256 };

static volatile uint32_t is_over;
static volatile pid_t tid_of_blocked;

static void *sleep_until_over(void *arg)
{
    sigset_t all;

    (void)arg;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    prctl(PR_SET_NAME, "a) S 1 (b", 0, 0, 0); /* a name that looks like the fields behind it */
    tid_of_blocked = os_gettid();
    while (!is_over)
        usleep(1000);
    return NULL;
}

static bool has_tid(const pid_t *tids, long n, pid_t tid)
{
    while (n-- > 0) {
        if (tids[n] == tid)
            return true;
    }
    return false;
}

static void all_threads_are_listed(void **state)
{
    pthread_t threads[N_THREADS];
    pid_t tids[N_MAX];
    struct os_task_state task;
    long n;

    (void)state;
    if (is_emulated()) /* it has a thread of its own */
        skip();
    assert_int_equal(os_task_list(tids, N_MAX), 1);
    assert_int_equal(os_task_count(), 1);
    assert_int_equal(tids[0], os_gettid());
    is_over = false;
    tid_of_blocked = 0;
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sleep_until_over, NULL), 0);
    while (tid_of_blocked == 0)
        sched_yield();
    n = os_task_list(tids, N_MAX);
    assert_int_equal(n, N_THREADS + 1);
    assert_int_equal(os_task_count(), n);
    assert_true(has_tid(tids, n, tid_of_blocked) && has_tid(tids, n, os_gettid()));
    assert_int_equal(os_task_list(tids, N_THREADS + 1), N_THREADS + 1);
    assert_int_equal(os_task_list(tids, N_THREADS), -E2BIG);
    assert_int_equal(os_task_state(tid_of_blocked, &task), 0);
    assert_true(task.state == 'S' || task.state == 'R');
    assert_true((task.sig_blocked & 1) != 0);       /* SIGHUP */
    assert_true((task.sig_blocked >> 32 & 1) == 0); /* 33, which libc leaves open */
    assert_true(os_task_is_stoppable(&task));
    is_over = true;
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* Whatever a program calls its threads, it is a word in a line of text. */
static void names_are_text(void **state)
{
    char name[OS_TASK_NAME_BYTES];

    (void)state;
    assert_int_equal(pthread_setname_np(pthread_self(), "a\n\033[1m\tz2345678"), 0);
    os_task_name(os_gettid(), name);
    assert_string_equal(name, "a??[1m?z2345678");
    assert_int_equal(pthread_setname_np(pthread_self(), ""), 0);
    os_task_name(os_gettid(), name);
    assert_string_equal(name, "");
    name[0] = 'x';
    os_task_name(INT_MAX, name);
    assert_string_equal(name, "");
}

static void the_gone_and_the_kernels_are_not_stoppable(void **state)
{
    struct os_task_state task;

    (void)state;
    assert_int_equal(os_task_state(0x3fffffff, &task), 0);
    assert_int_equal(task.state, 0);
    assert_false(os_task_is_stoppable(&task));
    task = (struct os_task_state){.state = 'S', .flags = 0x400040};
    assert_true(os_task_is_stoppable(&task));
    task.flags = 0x404050; /* as seen at a submission thread of io_uring */
    assert_false(os_task_is_stoppable(&task));
    task = (struct os_task_state){.state = 'Z'};
    assert_false(os_task_is_stoppable(&task));
}

/* ---- when the main thread has ended ----------------------------------------------------------- */

static bool find_this_thread(const struct os_map *m, void *ctx)
{
    *(bool *)ctx |=
        m->lo <= (uintptr_t)__builtin_frame_address(0) && (uintptr_t)__builtin_frame_address(0) < m->hi;
    return true;
}

static void *look_without_main(void *arg)
{
    static char buf[65536];
    struct os_task_state task = {.state = 'R'};
    bool has_stack = false;
    pid_t tids[8], me = os_gettid();
    char byte = 0;

    (void)arg;
    while (os_task_state(os_getpid(), &task) == 0 && task.state != 'Z')
        usleep(1000);
    if (os_task_is_stoppable(&task) || !has_tid(tids, os_task_list(tids, 8), me))
        os_exit_group(1);
    if (os_task_state(me, &task) != 0 || task.state != 'R')
        os_exit_group(2);
    if (os_maps_walk(buf, sizeof(buf), find_this_thread, &has_stack) != 0 || !has_stack)
        os_exit_group(3);
    if (os_pages_prepare() != 0 || os_mem_read((uintptr_t) "x", &byte, 1) != 1 || byte != 'x')
        os_exit_group(4);
    if (os_vm_resident() == 0)
        os_exit_group(5);
    os_exit_group(0);
}

static int end_main_thread(void *arg)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, look_without_main, arg) != 0)
        return 99;
    syscall(SYS_exit, 0); /* this thread alone; pthread_exit would unwind into the harness */
    return 98;
}

static void proc_is_readable_when_main_has_ended(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(end_main_thread, NULL), 0);
}

#if GCM_CHECKING
static void failures_are_told(void **state)
{
    struct os_task_state task;
    pid_t tids[8];

    (void)state;
    os_fault_set(SYS_openat, 0, 1, EMFILE);
    assert_int_equal(os_task_list(tids, 8), -EMFILE);
    os_fault_set(SYS_getdents64, 0, 1, EIO);
    assert_int_equal(os_task_list(tids, 8), -EIO);
    for (unsigned skip = 0; skip < 2; skip++) { /* stat, status */
        os_fault_set(SYS_openat, skip, 1, EMFILE);
        assert_int_equal(os_task_state(os_gettid(), &task), -EMFILE);
        os_fault_set(SYS_openat, skip, 1, ENOENT);
        assert_int_equal(os_task_state(os_gettid(), &task), 0);
        assert_int_equal(task.state, 0);
    }
    os_fault_set(SYS_read, 0, 1, EIO);
    assert_int_equal(os_task_state(os_gettid(), &task), -EIO);
    os_fault_set(FAULT_OFF, 0, 0, 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_threads_are_listed),
        cmocka_unit_test(names_are_text),
        cmocka_unit_test(the_gone_and_the_kernels_are_not_stoppable),
        cmocka_unit_test(proc_is_readable_when_main_has_ended),
#if GCM_CHECKING
        cmocka_unit_test(failures_are_told),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
