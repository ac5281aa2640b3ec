/* The world stops, whatever its threads do. */
#include "world_harness.h"

#include "heap/tcache.h"

enum { N_MANY = 48, N_STOPS = 200 };

static struct harness_thread threads[N_MANY];

/* ---- kinds of threads ---------------------------------------------------------------------------------------- */

static void step_critical(struct harness_thread *t)
{
    (void)t;
    os_critical_enter();
    for (volatile int i = 0; i < 1000; i++)
        continue;
    os_critical_leave();
}

static void step_published(struct harness_thread *t)
{
    struct os_gate_frame frame;

    (void)t;
    os_gate_publish(&frame);
    os_syscall(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
    os_gate_leave(&frame);
}

static void begin_blocked(struct harness_thread *t)
{
    sigset_t all;

    (void)t;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
}

static void spawn_mixture(size_t n)
{
    static const struct harness_thread kinds[] = {
        {.step = harness_step_nothing},
        {.step = harness_step_sleep},
        {.step = step_critical},
        {.begin = begin_blocked, .step = harness_step_sleep},
        {.begin = harness_begin_registered, .end = harness_end_registered, .step = harness_step_nothing},
        {.begin = harness_begin_registered, .end = harness_end_registered, .step = step_published},
    };

    for (size_t i = 0; i < n; i++) {
        threads[i] = kinds[i % N_ELEMENTS(kinds)];
        harness_spawn(&threads[i], NULL);
    }
}

static void join_all(size_t n)
{
    for (size_t i = 0; i < n; i++)
        threads[i].is_over = true;
    for (size_t i = 0; i < n; i++)
        harness_join(&threads[i]);
}

static uint64_t sum_of_steps(size_t n)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += threads[i].n_steps;
    return sum;
}

/* Every thread that the kernel knows has a settled slot. */
static void assert_all_settled(void)
{
    static pid_t tids[4096];
    long n = os_task_list(tids, N_ELEMENTS(tids));

    assert_true(n > 0);
    for (long i = 0; i < n; i++) {
        const struct os_stop_slot *slot = harness_slot_of(tids[i]);

        if (tids[i] == os_gettid())
            assert_null(slot);
        else
            assert_true(slot != NULL && (slot->state == OS_STOP_STOPPED || slot->state == OS_STOP_PUBLISHED ||
                                         slot->state == OS_STOP_GONE));
    }
}

/* ---- stops that succeed -------------------------------------------------------------------------------------- */

static void test_alone(void **state)
{
    (void)state;
    assert_false(world_is_stopped());
    assert_int_equal(harness_stop_at_last(), SKIP_NONE);
    assert_true(world_is_stopped());
    assert_int_equal(world_n_slots(), 0);
    harness_start();
    assert_false(world_is_stopped());
    world_start(); /* harmless */
}

static void test_mixture_stands_still(void **state)
{
    (void)state;
    spawn_mixture(N_MANY);
    for (int i = 0; i < N_STOPS; i++) {
        uint64_t before;

        assert_int_equal(harness_stop_at_last(), SKIP_NONE);
        assert_int_equal(world_n_slots(), N_MANY);
        assert_all_settled();
        before = sum_of_steps(N_MANY);
        for (int k = 0; k < 20; k++)
            sched_yield();
        assert_true(before == sum_of_steps(N_MANY));
        harness_start();
        if (i % 16 == 0)
            harness_sleep_us(1000);
    }
    for (size_t i = 0; i < N_MANY; i++)
        harness_assert_runs_on(&threads[i]);
    join_all(N_MANY);
}

static void test_registered_threads_have_their_record(void **state)
{
    (void)state;
    spawn_mixture(N_MANY);
    assert_int_equal(harness_stop_at_last(), SKIP_NONE);
    for (size_t i = 0; i < N_MANY; i++) {
        const struct os_stop_slot *slot = harness_slot_of(threads[i].tid);

        assert_non_null(slot);
        assert_int_equal(slot->thread != NULL, threads[i].begin == harness_begin_registered);
        if (slot->thread != NULL)
            assert_int_equal(slot->thread->tid, slot->tid);
    }
    harness_start();
    join_all(N_MANY);
}

static void *run_short(void *arg)
{
    return arg;
}

static void step_churn(struct harness_thread *t)
{
    pthread_t thread;

    (void)t;
    if (pthread_create(&thread, NULL, run_short, NULL) == 0)
        pthread_join(thread, NULL);
}

/* Threads are born and die all the time: no stop fails and nobody is missed. */
static void test_churn(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        threads[i] = (struct harness_thread){.step = step_churn};
        harness_spawn(&threads[i], NULL);
    }
    for (int i = 0; i < 3 * N_STOPS; i++) {
        assert_int_equal(harness_stop_at_last(), SKIP_NONE);
        assert_all_settled();
        harness_start();
    }
    assert_true(sum_of_steps(4) > 0);
    join_all(4);
}

static void step_critical_long(struct harness_thread *t)
{
    (void)t;
    os_critical_enter();
    os_clock_ns();
    for (uint64_t end = os_clock_ns() + 60000000; os_clock_ns() < end;)
        continue;
    os_critical_leave();
}

static void test_waits_for_a_long_critical_section(void **state)
{
    (void)state;
    threads[0] = (struct harness_thread){.step = step_critical_long};
    harness_spawn(&threads[0], NULL);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(harness_stop_at_last(), SKIP_NONE);
        harness_start();
    }
    join_all(1);
}

static void step_pause(struct harness_thread *t)
{
    (void)t;
    pause();
}

static void wake_up(int sig)
{
    (void)sig;
}

static void test_thousand_sleepers(void **state)
{
    enum { N = 1000 };
    static struct harness_thread many[N];
    pthread_attr_t attr;
    uint64_t best_ns = UINT64_MAX;

    (void)state;
    signal(SIGUSR1, wake_up);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 65536);
    for (size_t i = 0; i < N; i++) {
        many[i] = (struct harness_thread){.step = step_pause};
        harness_spawn(&many[i], &attr);
    }
    for (int i = 0; i < 10; i++) {
        uint64_t begin_ns = os_clock_ns(), ns;

        assert_int_equal(harness_stop_at_last(), SKIP_NONE);
        assert_int_equal(world_n_slots(), N);
        harness_start();
        ns = os_clock_ns() - begin_ns;
        best_ns = ns < best_ns ? ns : best_ns;
    }
    printf("stop of %d sleeping threads: %llu us\n", N, (unsigned long long)best_ns / 1000);
    for (size_t i = 0; i < N; i++)
        many[i].is_over = true;
    for (size_t i = 0; i < N; i++) /* a signal that comes before the pause does not end it */
        while (pthread_tryjoin_np(many[i].thread, NULL) == EBUSY) {
            pthread_kill(many[i].thread, SIGUSR1);
            sched_yield();
        }
    pthread_attr_destroy(&attr);
}
/* ---- threads that are no more -------------------------------------------------------------------------------- */

static struct tcache *left_behind;

static void *leave_abruptly(void *arg)
{
    (void)arg;
    os_critical_enter();
    left_behind = tcache_get();
    os_critical_leave();
    os_syscall(SYS_exit, 0, 0, 0, 0, 0, 0);
    return NULL;
}

static void test_cache_of_a_vanished_thread(void **state)
{
    pthread_attr_t attr;
    pthread_t thread;

    (void)state;
    os_critical_enter();
    struct tcache *own = tcache_get();
    os_critical_leave();
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    assert_int_equal(pthread_create(&thread, &attr, leave_abruptly, NULL), 0);
    for (int i = 0; i < 1000 && harness_n_threads() != 1; i++)
        harness_sleep_us(10000);
    assert_true(left_behind != NULL && left_behind->is_active);
    assert_int_equal(harness_stop_at_last(), SKIP_NONE);
    world_reap();
    assert_false(left_behind->is_active);
    assert_true(own->is_active);
    harness_start();
}

static volatile enum cycle_skip skip_of_zombie = SKIP_N;

static void *stop_after_main(void *arg)
{
    struct os_task_state main_state;

    (void)arg;
    while (os_task_state(getpid(), &main_state) == 0 && main_state.state != 'Z')
        harness_sleep_us(1000);
    skip_of_zombie = harness_stop_at_last();
    bool is_gone = world_n_slots() == 1 && world_slot(0)->state == OS_STOP_GONE && world_slot(0)->tid == getpid();
    harness_start();
    _exit(skip_of_zombie == SKIP_NONE && is_gone ? 0 : 1);
}

static void begin_deaf(struct harness_thread *t)
{
    uint64_t all = ~UINT64_C(0);

    (void)t;
    os_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, 0, sizeof(all), 0, 0);
}

/* Runs on for a while after the stop began, and ends. */
static void step_until_told(struct harness_thread *t)
{
    uint64_t end_ns = os_clock_ns() + UINT64_C(4000000);

    if (!os_stop_is_world_stopped())
        return;
    while (os_clock_ns() < end_ns)
        sched_yield();
    t->is_over = true;
}

/* A signal that was taken for a thread is no promise that it answers: it may be on its way out. */
static void test_thread_ends_with_its_signal(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct harness_thread t = {.begin = begin_deaf, .step = step_until_told};

        harness_spawn(&t, NULL);
        assert_int_equal(harness_stop(), SKIP_NONE);
        harness_start();
        pthread_join(t.thread, NULL);
    }
}

/* The main thread has exited and stays in the list as a zombie. */
static void test_main_thread_is_a_zombie(void **state)
{
    int status;

    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t thread;

        os_process_fork_child();
        os_thread_fork_child();
        os_stop_fork_child();
        world_fork_child();
        pthread_create(&thread, NULL, stop_after_main, NULL);
        os_syscall(SYS_exit, 0, 0, 0, 0, 0, 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

enum { N_OTHER_SIGNALS = 50 };

/* Of all processes of the user. */
static long n_queued_signals(void)
{
    char text[4096];
    FILE *f = fopen("/proc/self/status", "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    const char *line = strstr(text, "\nSigQ:\t");
    assert_non_null(line);
    return strtol(line + 7, NULL, 10);
}

/* struct io_uring_params is 120 bytes; flags are its third word, IORING_SETUP_SQPOLL is 2. */
static void test_worker_of_the_kernel(void **state)
{
    uint32_t params[30] = {0};

    (void)state;
    params[2] = 2;
    int fd = (int)syscall(SYS_io_uring_setup, 4, params);
    if (fd < 0)
        skip();
    harness_sleep_us(20000);
    assert_int_equal(harness_stop_at_last(), SKIP_NONE);
    assert_int_equal(world_n_slots(), 1);
    assert_int_equal(world_slot(0)->state, OS_STOP_GONE);
    harness_start();
    long n_before = n_queued_signals();
    for (int i = 0; i < 2 * N_OTHER_SIGNALS; i++) {
        assert_int_equal(harness_stop_at_last(), SKIP_NONE);
        harness_start();
    }
    for (int i = 0; i < 1000 && n_queued_signals() >= n_before + N_OTHER_SIGNALS; i++)
        harness_sleep_us(1000); /* another process of the user may have some for a moment */
    assert_true(n_queued_signals() < n_before + N_OTHER_SIGNALS); /* it gets no more, which would wait for ever */
    close(fd);
}

static void end_past_all_handlers(struct harness_thread *t)
{
    (void)t;
    syscall(SYS_exit, 0);
}

/* Last: what it leaves behind stays. */
static void test_many_records_without_a_thread(void **state)
{
    struct harness_thread t = {.begin = harness_begin_registered, .end = end_past_all_handlers, .step = harness_step_nothing};

    (void)state;
    for (size_t i = 0; i < 4 * N_MANY; i++) {
        harness_spawn(&t, NULL);
        harness_join(&t);
    }
    t = (struct harness_thread){.step = harness_step_nothing}; /* and one that is not registered */
    harness_spawn(&t, NULL);
    assert_int_equal(harness_stop_at_last(), SKIP_NONE);
    assert_int_equal(world_n_slots(), 1);
    assert_non_null(harness_slot_of(t.tid));
    harness_start();
    harness_join(&t);
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
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_mixture_stands_still),
        cmocka_unit_test(test_registered_threads_have_their_record),
        cmocka_unit_test(test_churn),
        cmocka_unit_test(test_waits_for_a_long_critical_section),
        cmocka_unit_test(test_thousand_sleepers),
        cmocka_unit_test(test_cache_of_a_vanished_thread),
        cmocka_unit_test(test_thread_ends_with_its_signal),
        cmocka_unit_test(test_main_thread_is_a_zombie),
        cmocka_unit_test(test_worker_of_the_kernel),
        cmocka_unit_test(test_many_records_without_a_thread),
    };

    return cmocka_run_group_tests(tests, setup_all, NULL);
}
