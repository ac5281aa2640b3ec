/* A stop that cannot be proven is given up for the right reason, and all run on. */
#include "world_harness.h"

#include <sys/ptrace.h>

enum { N_MANY = 4 };

static struct harness_thread threads[N_MANY];

static void join_all(size_t n)
{
    for (size_t i = 0; i < n; i++)
        threads[i].is_over = true;
    for (size_t i = 0; i < n; i++)
        harness_join(&threads[i]);
}

/* ---- stops that are given up --------------------------------------------------------------------------------- */

static void begin_blocked_raw(struct harness_thread *t)
{
    uint64_t all = ~UINT64_C(0);

    (void)t;
    os_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, 0, sizeof(all), 0, 0);
}

static void test_blocked_by_raw_call(void **state)
{
    (void)state;
    threads[0] = (struct harness_thread){.begin = begin_blocked_raw, .step = harness_step_sleep};
    threads[1] = (struct harness_thread){.step = harness_step_nothing};
    harness_spawn(&threads[0], NULL);
    harness_spawn(&threads[1], NULL);
    enum cycle_skip skip = harness_stop();
    assert_true(skip == SKIP_UNINTERRUPTIBLE || skip == SKIP_NOT_STOPPED);
    assert_false(world_is_stopped());
    harness_start();
    harness_assert_runs_on(&threads[1]);
    join_all(2);
    assert_int_equal(harness_stop(), SKIP_NONE);
    harness_start();
}

static void step_stay_published(struct harness_thread *t)
{
    struct os_gate_frame frame;

    os_gate_publish(&frame);
    while (!t->is_over)
        os_syscall(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
    os_gate_leave(&frame);
}

static struct os_thread *volatile published_thread;

static void begin_published(struct harness_thread *t)
{
    harness_begin_registered(t);
    published_thread = os_tls.thread;
}

static void take_signal(int sig)
{
    (void)sig;
}

/* Runs on in a stop, as a thread in a slow path does, until another one's gate is held; then it installs a handler that no gate
 * knows of. */
static void step_install_while_stopping(struct harness_thread *t)
{
    os_critical_enter();
    while (!t->is_over && __atomic_load_n(&published_thread->gate, __ATOMIC_SEQ_CST) != OS_GATE_HELD)
        sched_yield();
    signal(SIGUSR1, take_signal);
    os_critical_leave();
    while (!t->is_over)
        sched_yield();
}

/* The handler might run on a thread whose gate is held. */
static void test_handler_installed_while_stopping(void **state)
{
    (void)state;
    threads[0] = (struct harness_thread){.begin = begin_published, .step = step_stay_published, .end = harness_end_registered};
    threads[1] = (struct harness_thread){.step = step_install_while_stopping};
    harness_spawn(&threads[0], NULL);
    while (published_thread->gate != OS_GATE_PUBLISHED)
        sched_yield();
    harness_spawn(&threads[1], NULL);
    assert_int_equal(harness_stop(), SKIP_NOT_STOPPED);
    harness_start();
    assert_int_equal(harness_stop_at_last(), SKIP_NONE); /* by the signal, now */
    assert_int_equal(harness_slot_of(threads[0].tid)->state, OS_STOP_STOPPED);
    harness_start();
    signal(SIGUSR1, SIG_DFL);
    join_all(2);
}

static void step_vfork(struct harness_thread *t)
{
    struct timespec ts = {0, 300000000};

    (void)t;
    if (vfork() == 0) {
        nanosleep(&ts, NULL);
        _exit(0);
    }
    wait(NULL);
}

static void test_vfork_in_flight(void **state)
{
    (void)state;
    threads[0] = (struct harness_thread){.step = step_vfork};
    harness_spawn(&threads[0], NULL);
    harness_sleep_us(50000);
    uint64_t begin_ns = os_clock_ns();
    assert_int_equal(harness_stop(), SKIP_UNINTERRUPTIBLE);
    assert_true(os_clock_ns() - begin_ns < 150000000);
    harness_start();
    join_all(1);
}

/* A tracer, another process, holds one thread. */
static void test_traced_thread(void **state)
{
    int fds[2];
    char byte = 0;

    (void)state;
    threads[0] = (struct harness_thread){.step = harness_step_nothing};
    harness_spawn(&threads[0], NULL);
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        int status;
        pid_t tid = threads[0].tid;

        if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) != 0 || ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) != 0)
            byte = 'e';
        else
            waitpid(tid, &status, __WALL);
        if (write(fds[1], &byte, 1) == 1)
            pause();
        _exit(0);
    }
    assert_int_equal(read(fds[0], &byte, 1), 1);
    if (byte == 0) {
        assert_int_equal(harness_stop(), SKIP_UNINTERRUPTIBLE);
        harness_start();
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    harness_assert_runs_on(&threads[0]);
    join_all(1);
    close(fds[0]);
    close(fds[1]);
    if (byte != 0)
        skip();
}

static void test_more_threads_than_prepared(void **state)
{
    enum { N = 300 };
    static struct harness_thread many[N];

    (void)state;
    os_critical_enter();
    world_fork_child(); /* forgets nothing that counts */
    assert_int_equal(world_prepare(), SKIP_NONE);
    size_t capacity = world_capacity();
    os_critical_leave();
    if (capacity >= N)
        skip();
    for (size_t i = 0; i < N; i++) {
        many[i] = (struct harness_thread){.step = harness_step_sleep};
        harness_spawn(&many[i], NULL);
    }
    os_critical_enter();
    assert_int_equal(world_stop(), SKIP_NOT_STOPPED);
    os_critical_leave();
    harness_assert_runs_on(&many[N - 1]);
    assert_int_equal(harness_stop(), SKIP_NONE);
    assert_int_equal(world_n_slots(), N);
    harness_start();
    for (size_t i = 0; i < N; i++)
        harness_join(&many[i]);
}

/* ---- injected failures --------------------------------------------------------------------------------------- */

static void test_full_queue_of_signals(void **state)
{
    (void)state;
    if (!GCM_CHECKING)
        skip(); /* nothing can be made to fail */
    threads[0] = (struct harness_thread){.step = harness_step_nothing};
    harness_spawn(&threads[0], NULL);
    os_fault_set(SYS_rt_tgsigqueueinfo, 0, 5, EAGAIN);
    assert_int_equal(harness_stop(), SKIP_NONE);
    harness_start();
    os_fault_set(SYS_rt_tgsigqueueinfo, 0, 50, EAGAIN); /* far from all that there is time for */
    assert_int_equal(harness_stop(), SKIP_NOT_STOPPED);
    os_fault_set(-2, 0, 0, 0);
    harness_start();
    harness_assert_runs_on(&threads[0]);
    join_all(1);
}

static void test_no_list_of_threads(void **state)
{
    (void)state;
    if (!GCM_CHECKING)
        skip(); /* nothing can be made to fail */
    threads[0] = (struct harness_thread){.step = harness_step_nothing};
    harness_spawn(&threads[0], NULL);
    world_fork_child(); /* counts by the list */
    for (unsigned skip_calls = 0; skip_calls < 4; skip_calls++) {
        os_fault_set(SYS_getdents64, skip_calls, UINT32_MAX, EACCES);
        assert_int_equal(harness_stop(), SKIP_NO_PROC);
        os_fault_set(-2, 0, 0, 0);
        harness_start();
    }
    assert_int_equal(harness_stop(), SKIP_NONE);
    harness_start();
    harness_assert_runs_on(&threads[0]);
    join_all(1);
}

/* Those that are known are stopped first, and if they are as many as there are, that is all. */
static void test_registered_threads_need_no_list(void **state)
{
    (void)state;
    if (!GCM_CHECKING)
        skip(); /* nothing can be made to fail */
    for (size_t i = 0; i < 2; i++) {
        threads[i] = (struct harness_thread){
            .begin = harness_begin_registered, .step = harness_step_nothing, .end = harness_end_registered};
        harness_spawn(&threads[i], NULL);
    }
    assert_int_equal(harness_stop(), SKIP_NONE); /* from now on the number is believed */
    harness_start();
    os_fault_set(SYS_getdents64, 0, UINT32_MAX, EACCES);
    assert_int_equal(harness_stop(), SKIP_NONE);
    os_fault_set(-2, 0, 0, 0);
    assert_int_equal(world_n_slots(), 2);
    harness_start();
    for (size_t i = 0; i < 2; i++)
        harness_assert_runs_on(&threads[i]);
    join_all(2);
}

/* Where the kernel does not say how many threads there are, it lists them. */
static void test_no_number_of_threads(void **state)
{
    (void)state;
    if (!GCM_CHECKING)
        skip(); /* nothing can be made to fail */
    threads[0] = (struct harness_thread){.step = harness_step_nothing};
    harness_spawn(&threads[0], NULL);
    os_fault_set(SYS_newfstatat, 0, UINT32_MAX, EACCES);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(harness_stop(), SKIP_NONE);
        assert_int_equal(world_n_slots(), 1);
        harness_start();
    }
    harness_assert_runs_on(&threads[0]);
    join_all(1);
    assert_int_equal(harness_stop(), SKIP_NONE);
    assert_int_equal(world_n_slots(), 0);
    os_fault_set(-2, 0, 0, 0);
    harness_start();
}

static void test_no_handler(void **state)
{
    (void)state;
    if (!GCM_CHECKING)
        skip(); /* nothing can be made to fail */
    os_fault_set(SYS_rt_sigaction, 0, UINT32_MAX, EINVAL);
    os_critical_enter();
    assert_int_equal(world_prepare(), SKIP_NOT_STOPPED);
    os_critical_leave();
    os_fault_set(-2, 0, 0, 0);
}

static int setup_all(void **state)
{
    (void)state;
    harness_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocked_by_raw_call),
        cmocka_unit_test(test_handler_installed_while_stopping),
        cmocka_unit_test(test_vfork_in_flight),
        cmocka_unit_test(test_traced_thread),
        cmocka_unit_test(test_more_threads_than_prepared),
        cmocka_unit_test(test_full_queue_of_signals),
        cmocka_unit_test(test_no_list_of_threads),
        cmocka_unit_test(test_registered_threads_need_no_list),
        cmocka_unit_test(test_no_number_of_threads),
        cmocka_unit_test(test_no_handler),
    };

    return cmocka_run_group_tests(tests, setup_all, NULL);
}
