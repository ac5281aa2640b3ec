/* Whole cycles on this very process: real stop, real roots. Addresses that must not count are kept
 * complemented; what a dead part of the stack or a register may still hold makes bounds of the asserts. */
#include "gc/cycle.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/counters.h"
#include "gc/cycle_gate.h"
#include "gc/mark_team.h"
#include "gc/pacer.h"
#include "gc_blocks.h"

enum { N = 20000, SIZE = 64 };
static uintptr_t hidden[N];
static void **kept;

static void *unhide(size_t i)
{
    return (void *)~hidden[i];
}

static NOINLINE void make_garbage(unsigned flavor)
{
    for (size_t i = 0; i < N; i++)
        hidden[i] = ~(uintptr_t)gc_block(flavor, SIZE);
}

static size_t count_live(void)
{
    size_t n = 0;
    for (size_t i = 0; i < N; i++)
        n += gc_block_is_live(unhide(i));
    return n;
}

static void config(enum cycle_mode mode, int fd, bool check)
{
    const struct cycle_config c = {.mode = mode, .trace = fd >= 0, .trace_out = {.fd = fd}, .check = check};
    cycle_init(&c);
}

static void free_garbage(void)
{
    for (size_t i = 0; i < N; i++)
        if (gc_block_is_live(unhide(i)))
            gc_block_free(unhide(i));
}

static int fresh(void **state)
{
    (void)state;
    config(MODE_RECLAIM, -1, false);
    counters_reset();
    return 0;
}

/* ---- reclaiming ---- */

static void test_reclaims_garbage_and_nothing_else(void **state)
{
    (void)state;
    kept = gc_block(FLAVOR_MALLOC, 100 * sizeof(void *));
    for (size_t i = 0; i < 100; i++)
        kept[i] = gc_block(FLAVOR_MALLOC, 32);
    void *volatile on_stack = gc_block(FLAVOR_MALLOC, 32);
    make_garbage(FLAVOR_MALLOC);
    uint64_t before = cycle_count();
    assert_int_equal(gc_cycle(CYCLE_EXPLICIT), SKIP_NONE);
    assert_int_equal(cycle_count(), before + 1);
    assert_true(count_live() < N / 10);
    assert_true(gc_block_is_live(on_stack));
    for (size_t i = 0; i < 100; i++)
        assert_true(gc_block_is_live(kept[i]));
    assert_true(counter_get(COUNTER_CYCLES) >= 1);
    assert_int_equal(counter_get(COUNTER_CYCLES_EXPLICIT), counter_get(COUNTER_CYCLES));
    assert_true(counter_get(COUNTER_BLOCKS_RECLAIMED) > N - N / 10);
    assert_true(counter_get(COUNTER_ROOTS_SCANNED_BYTES) > 0);
}

static void test_check_agrees(void **state)
{
    (void)state;
    config(MODE_RECLAIM, -1, true);
    make_garbage(FLAVOR_MALLOC);
    for (int i = 0; i < 3; i++)
        assert_int_equal(gc_cycle(CYCLE_EXPLICIT), SKIP_NONE);
    assert_true(count_live() < N / 10);
}

/* ---- modes ---- */

static void test_off(void **state)
{
    (void)state;
    make_garbage(FLAVOR_MALLOC);
    cycle_set_mode(MODE_OFF);
    assert_int_equal(gc_cycle(CYCLE_EXPLICIT), SKIP_OFF);
    assert_int_equal(count_live(), N);
    free_garbage();
}

static void test_report(void **state)
{
    (void)state;
    make_garbage(FLAVOR_MALLOC);
    cycle_set_mode(MODE_REPORT);
    assert_int_equal(gc_cycle(CYCLE_EXPLICIT), SKIP_NONE);
    assert_int_equal(count_live(), N);
    assert_int_equal(counter_get(COUNTER_BLOCKS_RECLAIMED), 0);
    free_garbage();
}

static void test_explicit(void **state)
{
    (void)state;
    cycle_set_mode(MODE_EXPLICIT);
    make_garbage(FLAVOR_MALLOC);
    assert_int_equal(gc_cycle(CYCLE_EXPLICIT), SKIP_NONE);
    assert_int_equal(count_live(), N);
    free_garbage();
    make_garbage(FLAVOR_GC);
    assert_int_equal(gc_cycle(CYCLE_EXPLICIT), SKIP_NONE);
    assert_true(count_live() < N / 10);
}

/* ---- doors ---- */

static void expect_skip(enum cycle_skip skip, enum counter counter)
{
    uint64_t n = counter_get(counter), n_all = counter_get(COUNTER_CYCLES_SKIPPED), n_cycles = cycle_count();
    assert_int_equal(gc_cycle(CYCLE_EXPLICIT), skip);
    assert_int_equal(counter_get(counter), n + 1);
    assert_int_equal(counter_get(COUNTER_CYCLES_SKIPPED), n_all + 1);
    assert_int_equal(cycle_count(), n_cycles);
}

static void test_doors(void **state)
{
    (void)state;
    make_garbage(FLAVOR_MALLOC);
    cycle_inhibit();
    cycle_inhibit();
    cycle_uninhibit();
    expect_skip(SKIP_INHIBITED, COUNTER_SKIP_INHIBITED);
    cycle_uninhibit();
    cycle_fork_prepare();
    expect_skip(SKIP_FORK, COUNTER_SKIP_FORK);
    cycle_fork_parent();
    cycle_vfork_begin();
    expect_skip(SKIP_VFORK, COUNTER_SKIP_VFORK_CHILD);
    cycle_vfork_end();
    os_critical_enter();
    expect_skip(SKIP_NESTED, COUNTER_SKIP_NESTED);
    os_critical_leave();
    assert_int_equal(count_live(), N);
    assert_int_equal(gc_cycle(CYCLE_EXPLICIT), SKIP_NONE);
    assert_true(count_live() < N / 10);
}

/* A fork begins when the cycle that runs has ended: the child would have half of what it changed. */
static struct {
    _Atomic pid_t tid;
    _Atomic int is_through;
} forking;

static void *fork_beside_cycle(void *arg)
{
    atomic_store(&forking.tid, (pid_t)syscall(SYS_gettid));
    cycle_fork_prepare();
    atomic_store(&forking.is_through, 1);
    cycle_fork_parent();
    return arg;
}

/* The thread sleeps in a futex. */
static bool is_waiting(pid_t tid)
{
    char path[64], text[128] = "";
    snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        skip();
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    return n > 0 && strtol(text, NULL, 10) == SYS_futex;
}

static void test_fork_waits_for_cycle(void **state)
{
    pthread_t thread;
    (void)state;
    os_critical_enter();
    assert_true(cycle_gate_try_enter());
    assert_int_equal(pthread_create(&thread, NULL, fork_beside_cycle, NULL), 0);
    while (atomic_load(&forking.tid) == 0)
        sched_yield();
    for (int i = 0; i < 30000 && !atomic_load(&forking.is_through) && !is_waiting(forking.tid); i++)
        usleep(1000);
    assert_false(atomic_load(&forking.is_through));
    cycle_gate_leave();
    os_critical_leave();
    pthread_join(thread, NULL);
    assert_true(atomic_load(&forking.is_through));
    assert_int_equal(gc_cycle(CYCLE_EXPLICIT), SKIP_NONE);
}

static void test_every_reason_has_a_name(void **state)
{
    (void)state;
    for (int i = 0; i < SKIP_N; i++)
        assert_true(cycle_skip_name((enum cycle_skip)i) != NULL &&
                    cycle_skip_name((enum cycle_skip)i)[0] != 0);
}

/* ---- threads ---- */

static uint32_t is_ending;
static void *volatile thread_blocks[4];

/* Holds a block by a local alone and churns. */
static void *churn(void *arg)
{
    void **volatile mine = gc_block(FLAVOR_MALLOC, SIZE);
    mine[0] = gc_block(FLAVOR_MALLOC, SIZE);
    thread_blocks[(uintptr_t)arg] = (void *)~(uintptr_t)mine;
    while (!__atomic_load_n(&is_ending, __ATOMIC_RELAXED)) {
        for (int i = 0; i < 1000; i++)
            gc_block(FLAVOR_MALLOC, 48);
        if (arg == NULL)
            gc_cycle(CYCLE_EXPLICIT);
        else
            cycle_wait();
        if (!gc_block_is_live(mine) || !gc_block_is_live(mine[0]))
            return (void *)1;
    }
    os_critical_enter();
    tcache_retire();
    os_critical_leave();
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t ids[4];
    is_ending = 0;
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&ids[i], NULL, churn, (void *)i), 0);
    uint64_t n_before = cycle_count();
    for (int i = 0; i < 200; i++) {
        make_garbage(FLAVOR_MALLOC);
        gc_cycle(CYCLE_EXPLICIT); /* or the other thread's */
    }
    __atomic_store_n(&is_ending, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 4; i++) {
        void *result;
        assert_int_equal(pthread_join(ids[i], &result), 0);
        assert_null(result);
    }
    assert_true(cycle_count() > n_before);
    assert_int_equal(gc_cycle(CYCLE_EXPLICIT), SKIP_NONE);
    assert_true(count_live() < N / 10);
    assert_true(heap_used_estimate() < 8 << 20);
}

struct helper {
    void *(*fn)(void *);
    void *arg;
};

/* As api starts them: registered, so that they can publish themselves. */
static void *helper_main(void *start)
{
    struct helper *h = start;
    os_critical_enter();
    assert_non_null(os_thread_register());
    os_critical_leave();
    return h->fn(h->arg);
}

static int start_helper(void *(*fn)(void *), void *arg)
{
    static struct helper helpers[4];
    static size_t n;
    pthread_t id;
    helpers[n] = (struct helper){fn, arg};
    return pthread_create(&id, NULL, helper_main, &helpers[n++]);
}

/* Helpers mark while the world, they included, counts as stopped; a plain marker agrees each time. */
static void test_threads_and_helpers(void **state)
{
    mark_team_config(3);
    mark_team_set_min_heap(0);
    mark_team_set_starter(start_helper);
    mark_team_poke();
    assert_int_equal(mark_team_size(), 3);
    config(MODE_RECLAIM, -1, true);
    test_threads(state);
    test_reclaims_garbage_and_nothing_else(state);
    mark_team_set_min_heap(SIZE_MAX);
}

static void rebuild_child(void)
{
    os_process_fork_child();
    os_stop_fork_child();
    os_thread_fork_child();
    os_critical_enter();
    heap_fork_child();
    os_critical_leave();
    finalizer_fork_child();
    cycle_fork_child();
}

static void assert_child_succeeds(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static int collect_in_child(void)
{
    return gc_cycle(CYCLE_EXPLICIT) != SKIP_NONE ? 1 : count_live() >= N / 10 ? 2 : 0;
}

static void test_fork_child_collects(void **state)
{
    (void)state;
    make_garbage(FLAVOR_MALLOC);
    cycle_fork_prepare();
    pid_t child = fork();
    if (child == 0) {
        rebuild_child();
        _exit(collect_in_child());
    }
    cycle_fork_parent();
    assert_child_succeeds(child);
    free_garbage();
}

static _Atomic int is_cycle_on, may_cycle_end;

static void *stay_in_cycle(void *arg)
{
    os_critical_enter();
    assert_true(cycle_gate_try_enter());
    atomic_store(&is_cycle_on, 1);
    while (!atomic_load(&may_cycle_end))
        sched_yield();
    cycle_gate_leave();
    os_critical_leave();
    return arg;
}

/* A fork that went past our handlers, while another thread collects, and a third one waits for a child of vfork. */
static void test_fork_in_the_middle(void **state)
{
    pthread_t thread;
    (void)state;
    make_garbage(FLAVOR_MALLOC);
    assert_int_equal(pthread_create(&thread, NULL, stay_in_cycle, NULL), 0);
    while (!atomic_load(&is_cycle_on))
        sched_yield();
    cycle_vfork_begin();
    pid_t child = fork();
    if (child == 0) {
        alarm(60); /* instead of waiting for ever */
        rebuild_child();
        cycle_wait();
        _exit(collect_in_child());
    }
    cycle_vfork_end();
    atomic_store(&may_cycle_end, 1);
    pthread_join(thread, NULL);
    assert_child_succeeds(child);
    free_garbage();
}

/* pre: there are some. */
static void test_fork_child_has_no_helpers(void **state)
{
    (void)state;
    mark_team_set_min_heap(0);
    assert_int_equal(mark_team_size(), 3);
    pid_t child = fork();
    if (child == 0) {
        rebuild_child();
        _exit(mark_team_size() != 1 ? 3 : gc_cycle(CYCLE_EXPLICIT) != SKIP_NONE ? 1 : 0);
    }
    mark_team_set_min_heap(SIZE_MAX);
    assert_child_succeeds(child);
}

/* ---- failures ---- */

/* Whatever system call of a cycle fails: it completes or says why not, and what is held stays. */
static void test_each_call_may_fail(void **state)
{
    (void)state;
    size_t n_skipped = 0, n_complete = 0;
    if (!GCM_CHECKING)
        skip();
    kept = gc_block(FLAVOR_MALLOC, 100 * sizeof(void *));
    for (size_t i = 0; i < 100; i++)
        kept[i] = gc_block(FLAVOR_MALLOC, 32);
    for (unsigned n = 0; n_complete < 20 && n < 2000; n++) {
        make_garbage(FLAVOR_MALLOC);
        os_fault_set(-1, n, 1, n % 2 == 0 ? ENOMEM : EACCES);
        enum cycle_skip skip = gc_cycle(CYCLE_EXPLICIT);
        os_fault_set(-2, 0, 0, 0);
        n_complete = skip == SKIP_NONE ? n_complete + 1 : 0;
        n_skipped += skip != SKIP_NONE;
        for (size_t i = 0; i < 100; i++)
            assert_true(gc_block_is_live(kept[i]));
        if (skip != SKIP_NONE)
            assert_int_equal(count_live(), N);
        heap_check();
        free_garbage();
    }
    assert_true(n_skipped > 0 && n_complete == 20);
}

/* ---- trace ---- */

static void test_trace_lines(void **state)
{
    (void)state;
    int ends[2], n[11];
    char text[2048] = "", last = 0;
    assert_int_equal(pipe(ends), 0);
    config(MODE_RECLAIM, ends[1], false);
    assert_int_equal(gc_cycle(CYCLE_EXPLICIT), SKIP_NONE);
    cycle_inhibit();
    gc_cycle(CYCLE_STRESS);
    cycle_uninhibit();
    ssize_t len = read(ends[0], text, sizeof(text) - 1);
    assert_true(len > 0);
    int n_fields =
        sscanf(text,
               "gc %d @%d.%ds explicit: stop %d roots %d mark %d finalize %d publish %d resume %d us, "
               "heap %*[0-9.KMG]->%*[0-9.KMG] goal %*[0-9.KMG], reclaimed %d blocks %*[0-9.KMG], "
               "roots %*[0-9.KMG], threads %d, cpu %*[0-9.]%c",
               &n[0], &n[1], &n[2], &n[3], &n[4], &n[5], &n[6], &n[7], &n[8], &n[9], &n[10], &last);
    assert_int_equal(n_fields, 12);
    assert_int_equal(last, '%');
    const char *second = strchr(text, '\n') + 1;
    assert_non_null(strstr(second, "s stress skipped: inhibited\n"));
    assert_ptr_equal(strchr(second, '\n') + 1, text + len);
    close(ends[0]);
    close(ends[1]);
}

static int setup(void **state)
{
    (void)state;
    const struct pacer_config pacer = {.percent = 100, .floor_bytes = 64 << 20, .budget_percent = 10};
    gc_block_heap_setup();
    pacer_init(&pacer);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_reclaims_garbage_and_nothing_else, fresh),
        cmocka_unit_test_setup(test_check_agrees, fresh),
        cmocka_unit_test_setup(test_off, fresh),
        cmocka_unit_test_setup(test_report, fresh),
        cmocka_unit_test_setup(test_explicit, fresh),
        cmocka_unit_test_setup(test_doors, fresh),
        cmocka_unit_test_setup(test_fork_waits_for_cycle, fresh),
        cmocka_unit_test_setup(test_every_reason_has_a_name, fresh),
        cmocka_unit_test_setup(test_threads, fresh),
        cmocka_unit_test_setup(test_fork_child_collects, fresh),
        cmocka_unit_test_setup(test_fork_in_the_middle, fresh),
        cmocka_unit_test_setup(test_each_call_may_fail, fresh),
        cmocka_unit_test_setup(test_trace_lines, fresh),
        cmocka_unit_test_setup(test_threads_and_helpers, fresh), /* the helpers stay */
        cmocka_unit_test_setup(test_fork_child_has_no_helpers, fresh),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
