/* When a cycle is due: goal, distance, exact count, limit, back-off, stress. */
#include "gc/pacer.h"

#include <sys/resource.h>

#include "gc/event.h"
#include "gc_blocks.h"

#define MB ((size_t)1 << 20)

static struct pacer_config config;

static void begin(void)
{
    config = (struct pacer_config){.percent = 100, .floor_bytes = 64 * MB};
    pacer_init(&config);
    heap_set_used(0);
}

static bool is_due(size_t extra_bytes, enum cycle_cause *cause)
{
    os_critical_enter();
    bool due = pacer_is_due(extra_bytes, cause);
    os_critical_leave();
    return due;
}

static void done(size_t live, size_t dead)
{
    pacer_cycle_done(true, live, dead, 0);
}

static void test_floor(void **state)
{
    (void)state;
    begin();
    assert_int_equal(pacer_goal_bytes(), 64 * MB);
    pacer_set_percent(-1);
    assert_int_equal(pacer_goal_bytes(), SIZE_MAX);
    pacer_set_percent(50);
    assert_int_equal(pacer_goal_bytes(), 64 * MB);
}

static void test_goal_follows_live(void **state)
{
    (void)state;
    begin();
    done(30 * MB, 40 * MB); /* much was recovered */
    assert_int_equal(pacer_goal_bytes(), 64 * MB);
    begin();
    done(200 * MB, 200 * MB);
    assert_true(pacer_goal_bytes() > 399 * MB && pacer_goal_bytes() <= 400 * MB);
    pacer_set_percent(25);
    assert_true(pacer_goal_bytes() > 249 * MB && pacer_goal_bytes() <= 250 * MB);
}

static void test_distance_stretches_and_comes_back(void **state)
{
    (void)state;
    begin();
    size_t most = os_vm_available() / 4, live = 16 * MB;
    config.floor_bytes = 16 * MB;
    pacer_init(&config);
    size_t last = 0;
    for (int i = 0; i < 10; i++) {
        size_t goal = pacer_goal_bytes();
        live = goal; /* nothing is ever recovered */
        done(live, 0);
        last = pacer_goal_bytes() - live;
        assert_true(last <= 4 * live + 16 * MB || last <= live);
        assert_true(last <= most + most / 8 || last <= live);
    }
    assert_true(last >= live / 2);
    done(pacer_goal_bytes() / 4, pacer_goal_bytes()); /* much was */
    assert_true(pacer_goal_bytes() <= 2 * (live + last) / 4 + 1);
}

/* Programs that ask for cycles themselves must not stretch the distance. */
static void test_early_cycles_say_nothing(void **state)
{
    (void)state;
    begin();
    for (int i = 0; i < 20; i++)
        done(10 * MB, 0);
    assert_int_equal(pacer_goal_bytes(), 64 * MB);
}

static void test_due_by_exact_count(void **state)
{
    (void)state;
    enum cycle_cause cause = CYCLE_EXPLICIT;
    begin();
    config.floor_bytes = 8 * MB;
    pacer_init(&config);
    assert_false(is_due(0, &cause));
    heap_set_used(100 * MB); /* an estimate that is far too high */
    assert_false(is_due(0, &cause));
    assert_true(heap_used_estimate() < 8 * MB); /* it was counted */
    void *p = gc_block(FLAVOR_MALLOC, 6 * MB);
    assert_false(is_due(0, &cause));
    assert_true(is_due(5 * MB, &cause)); /* with what the caller wants */
    void *q = gc_block(FLAVOR_MALLOC, 6 * MB);
    assert_true(is_due(0, &cause));
    assert_int_equal(cause, CYCLE_GROWTH);
    gc_block_free(p);
    gc_block_free(q);
    assert_false(is_due(0, &cause));
}

static void test_limit(void **state)
{
    (void)state;
    enum cycle_cause cause = CYCLE_EXPLICIT;
    begin();
    pacer_set_percent(-1);
    pacer_set_limit(32 * MB);
    assert_int_equal(pacer_goal_bytes(), 30 * MB);
    void *p = gc_block(FLAVOR_MALLOC, 31 * MB);
    assert_true(is_due(0, &cause));
    assert_int_equal(cause, CYCLE_LIMIT);
    done(31 * MB, 0); /* all of it lives: not again at every step */
    assert_int_equal(pacer_goal_bytes(), 32 * MB);
    assert_false(is_due(0, &cause));
    gc_block_free(p);
    pacer_set_limit(0);
    assert_int_equal(pacer_goal_bytes(), SIZE_MAX);
}

/* Holes between blocks are held as much as blocks; free memory is given up and needs no cycle. */
static void test_limit_counts_what_is_held(void **state)
{
    (void)state;
    enum { N_BLOCKS = 3600, BLOCK_BYTES = 8192 };
    static void *blocks[N_BLOCKS];
    enum cycle_cause cause = CYCLE_EXPLICIT;
    begin();
    pacer_set_percent(-1);
    pacer_set_limit(32 * MB);
    gc_block_free(gc_block(FLAVOR_MALLOC, 31 * MB));
    assert_false(is_due(0, &cause));
    for (int i = 0; i < N_BLOCKS; i++)
        blocks[i] = gc_block(FLAVOR_MALLOC, BLOCK_BYTES);
    for (int i = 0; i < N_BLOCKS; i += 2)
        gc_block_free(blocks[i]);
    heap_set_used(31 * MB);
    assert_true(is_due(2 * MB, &cause)); /* 14 MiB of blocks in 28 */
    assert_int_equal(cause, CYCLE_LIMIT);
    pacer_set_limit(64 * MB);
    heap_set_used(63 * MB);
    assert_false(is_due(2 * MB, &cause));
    pacer_set_limit(0);
    for (int i = 1; i < N_BLOCKS; i += 2)
        gc_block_free(blocks[i]);
}

#define LONG_NS UINT64_C(1000000000000) /* a very long cycle */

static void begin_small(unsigned budget)
{
    begin();
    config.floor_bytes = 4 * MB;
    config.budget_percent = budget;
    pacer_init(&config);
}

static void test_budget(void **state)
{
    (void)state;
    enum cycle_cause cause;
    begin_small(10);
    void *p = gc_block(FLAVOR_MALLOC, 64 * MB);
    assert_true(is_due(0, &cause));
    pacer_cycle_done(true, MB, 4 * MB, LONG_NS);
    assert_false(is_due(0, &cause));
    begin_small(100);
    heap_recount();
    pacer_cycle_done(true, MB, 4 * MB, LONG_NS);
    assert_true(is_due(0, &cause));
    gc_block_free(p);
}

static bool is_due_after(size_t live, size_t dead, uint64_t cycle_ns, uint64_t mutator_ns)
{
    enum cycle_cause cause;
    pacer_cycle_done(true, live, dead, cycle_ns);
    uint64_t end_ns = os_clock_cpu_ns() + mutator_ns;
    while (os_clock_cpu_ns() < end_ns)
        continue;
    return is_due(0, &cause);
}

/* After a cycle of 10 ms the next must wait for 90, 30 or 10 ms of the program's own. */
static void test_budget_grows_with_what_was_recovered(void **state)
{
    (void)state;
    const uint64_t ms = 1000000;
    begin_small(10);
    void *p = gc_block(FLAVOR_MALLOC, 64 * MB);
    assert_false(is_due_after(3 * MB, MB / 2, 10 * ms, 35 * ms));
    assert_true(is_due_after(3 * MB, 2 * MB, 10 * ms, 35 * ms));
    assert_false(is_due_after(3 * MB, 2 * MB, 10000 * ms, 11 * ms));
    assert_true(is_due_after(2 * MB, 3 * MB, 10 * ms, 11 * ms));
    gc_block_free(p);
}

/* After cycles that found nothing the share shrinks, and the next is expected to cost what the heap has grown to. */
static void test_budget_shrinks_where_nothing_is_recovered(void **state)
{
    (void)state;
    const uint64_t ms = 1000000;
    begin_small(20);
    void *p = gc_block(FLAVOR_MALLOC, 64 * MB);
    assert_false(is_due_after(4 * MB, 0, 2 * ms, 100 * ms)); /* 10 % of the time, and not for 4 MB: for 64 */
    begin_small(20);
    heap_recount();
    assert_true(is_due_after(4 * MB, MB, 2 * ms, 9 * ms)); /* a fifth came back: 8 ms later */
    begin_small(20);
    heap_recount();
    done(4 * MB, 0);
    assert_false(is_due_after(16 * MB, 0, 2 * ms, 45 * ms)); /* 5 %, and not for 16 MB: for 64 */
    gc_block_free(p);
}

/* What was freed since the last count must not end the budget: with what is in use the heap is hardly beyond its goal. */
static void test_budget_outlasts_a_high_estimate(void **state)
{
    (void)state;
    enum cycle_cause cause;
    begin_small(10);
    void *p = gc_block(FLAVOR_MALLOC, 64 * MB);
    pacer_cycle_done(true, 4 * MB, 0, LONG_NS);
    heap_set_used(os_vm_available());
    assert_false(is_due(0, &cause));
    gc_block_free(p);
}

/* While the budget keeps a cycle back, the kernel is not asked at each look what is available: the second look finds no file
 * to read, and knows all the same that the heap seems to be far beyond, so that it counts. */
static void test_budget_asks_the_kernel_once(void **state)
{
    (void)state;
    enum cycle_cause cause;
    struct rlimit before, none;
    begin_small(10);
    void *p = gc_block(FLAVOR_MALLOC, 64 * MB);
    size_t much = os_vm_available();
    bool is_known = false;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){0, before.rlim_max};
    for (int i = 0; i < 100 && !is_known; i++) { /* an answer does not count for long */
        pacer_init(&config);
        pacer_cycle_done(true, 4 * MB, 0, LONG_NS);
        assert_false(is_due(0, &cause));
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        heap_set_used(much);
        assert_false(is_due(0, &cause));
        is_known = heap_used_estimate() < much;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        heap_recount();
    }
    assert_true(is_known);
    gc_block_free(p);
}

/* A limit below what is alive must not stop the program: half of the time is its own. */
static void test_limit_takes_half_of_the_time(void **state)
{
    (void)state;
    enum cycle_cause cause;
    begin_small(10);
    pacer_set_percent(-1);
    pacer_set_limit(32 * MB);
    void *p = gc_block(FLAVOR_MALLOC, 64 * MB);
    assert_true(is_due(0, &cause));
    assert_int_equal(cause, CYCLE_LIMIT);
    assert_false(is_due_after(64 * MB, 0, LONG_NS, 0));
    assert_false(is_due(128 * MB, &cause));
    assert_true(is_due_after(31 * MB, 0, 10 * 1000 * 1000, 11 * 1000 * 1000));
    gc_block_free(p);
}

static void test_expecting_garbage(void **state)
{
    (void)state;
    begin();
    pacer_expect_garbage();
    assert_int_equal(pacer_goal_bytes(), 16 * MB);
    for (int i = 0; i < 5; i++) {
        size_t live = pacer_goal_bytes();
        done(live, 0); /* all of it lives, and yet the distance does not stretch */
        assert_true(pacer_goal_bytes() <= 2 * live);
    }
    pacer_expect_garbage();
    assert_true(pacer_goal_bytes() > 256 * MB);
}

/* Beyond the goal by more than the distance to it, cycles may take three quarters of the time, but no more. */
static void test_budget_of_gc_malloc_far_beyond_the_goal(void **state)
{
    (void)state;
    const uint64_t ms = 1000000;
    begin_small(10);
    void *p = gc_block(FLAVOR_MALLOC, 64 * MB);
    assert_false(is_due_after(16 * MB, 48 * MB, 30 * ms, 11 * ms));
    pacer_expect_garbage();
    assert_true(is_due_after(16 * MB, 48 * MB, 30 * ms, 11 * ms));
    assert_false(is_due_after(16 * MB, 48 * MB, 10000 * ms, 11 * ms));
    assert_false(is_due_after(24 * MB, 40 * MB, 30 * ms, 11 * ms)); /* not so far */
    gc_block_free(p);
}

static void use_cpu(uint64_t mutator_ns)
{
    uint64_t end_ns = os_clock_cpu_ns() + mutator_ns;
    while (os_clock_cpu_ns() < end_ns)
        continue;
}

/* What the program took since the last whole cycle took it the time since then: cycles that were given up meanwhile change nothing,
 * but that what they cost was not the program's. 100 MB in 40 ms, and cycles of 6 ms: 60 MB for a fifth of the time. */
static void test_thrift_over_cycles_that_were_given_up(void **state)
{
    (void)state;
    const uint64_t ms = 1000000;
    for (int n_given_up = 0; n_given_up <= 3; n_given_up++) {
        begin();
        config.floor_bytes = 4 * MB;
        pacer_init(&config);
        pacer_expect_garbage();
        pacer_cycle_done(true, 100 * MB, 100 * MB, 6 * ms);
        for (int i = 0; i < n_given_up; i++) {
            use_cpu(10 * ms + 20 * ms);
            pacer_cycle_done(false, 0, 0, 20 * ms);
        }
        use_cpu((uint64_t)(4 - n_given_up) * 10 * ms + 6 * ms);
        pacer_cycle_done(true, 100 * MB, 100 * MB, 6 * ms);
        assert_in_range(pacer_goal_bytes(), 150 * MB, 165 * MB);
    }
}

/* In a child of fork nobody knows what the time before was worth. */
static void test_thrift_in_a_fork_child(void **state)
{
    (void)state;
    const uint64_t ms = 1000000;
    begin();
    config.floor_bytes = 4 * MB;
    pacer_init(&config);
    pacer_expect_garbage();
    pacer_cycle_done(true, 100 * MB, 100 * MB, 6 * ms);
    use_cpu(46 * ms);
    pacer_cycle_done(true, 100 * MB, 100 * MB, 6 * ms);
    pacer_fork_child();
    pacer_cycle_done(true, 100 * MB, 100 * MB, 6 * ms);
    assert_in_range(pacer_goal_bytes(), 150 * MB, 165 * MB); /* as it was */
}

static void test_overdue_a_quarter_beyond_the_goal(void **state)
{
    (void)state;
    begin();
    heap_set_used(79 * MB);
    assert_false(pacer_is_overdue());
    heap_set_used(80 * MB);
    assert_true(pacer_is_overdue());
    pacer_set_limit(128 * MB);
    pacer_set_percent(-1);
    assert_false(pacer_is_overdue());
    pacer_set_limit(0);
    heap_set_used(SIZE_MAX / 4);
    assert_false(pacer_is_overdue()); /* no goal at all */
    heap_set_used(0);
}

static void test_skipped_cycles_back_off(void **state)
{
    (void)state;
    enum cycle_cause cause;
    begin();
    config.floor_bytes = 4 * MB;
    pacer_init(&config);
    void *p = gc_block(FLAVOR_MALLOC, 16 * MB);
    assert_true(is_due(0, &cause));
    pacer_cycle_done(false, 0, 0, 0);
    assert_false(is_due(0, &cause));
    int n_attempts = 0;
    void *more[256];
    for (int i = 0; i < 256; i++) {
        more[i] = gc_block(FLAVOR_MALLOC, MB / 4);
        if (is_due(0, &cause)) {
            n_attempts++;
            pacer_cycle_done(false, 0, 0, 0);
        }
    }
    assert_in_range(n_attempts, 1, 7);
    for (int i = 0; i < 256; i++)
        gc_block_free(more[i]);
    gc_block_free(p);
}

static void test_stress(void **state)
{
    (void)state;
    enum cycle_cause cause = CYCLE_EXPLICIT;
    begin();
    config.stress = 3;
    pacer_init(&config);
    int n_due = 0;
    for (int i = 0; i < 30; i++)
        n_due += is_due(0, &cause);
    assert_int_equal(n_due, 10);
    assert_int_equal(cause, CYCLE_STRESS);
}

static void hear_nothing(int event, void *arg)
{
    (void)event;
    (void)arg;
}

/* The next cycle is announced once, when an eighth of the distance is left, and only where somebody listens. */
static void test_announced_where_somebody_listens(void **state)
{
    (void)state;
    enum cycle_cause cause;
    begin();
    config.floor_bytes = 32 * MB;
    pacer_init(&config);
    cycle_set_mode(MODE_RECLAIM);
    void *p = gc_block(FLAVOR_MALLOC, 27 * MB), *q;
    assert_false(is_due(3 * MB, &cause));
    assert_false(pacer_is_announced()); /* nobody does */
    assert_int_equal(event_listen(EVENT_BEGIN, hear_nothing, NULL), 0);
    pacer_look_early();
    assert_false(is_due(0, &cause));
    assert_false(pacer_is_announced() || event_is_pending());
    q = gc_block(FLAVOR_MALLOC, MB + MB / 2);
    os_seccomp_note();
    assert_false(is_due(0, &cause) || pacer_is_announced() || event_is_pending()); /* nor comes any */
    os_seccomp_trust();
    pacer_look_early();
    assert_false(is_due(0, &cause));
    assert_true(pacer_is_announced() && event_is_pending());
    assert_int_equal(event_run_pending(), 1);
    assert_false(is_due(2 * MB, &cause) || event_is_pending()); /* once */
    assert_true(is_due(4 * MB, &cause));
    done(28 * MB, 0);
    assert_false(pacer_is_announced());
    assert_int_equal(event_unlisten(hear_nothing, NULL), 0);
    gc_block_free(p);
    gc_block_free(q);
}

static int setup(void **state)
{
    (void)state;
    gc_block_heap_setup();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floor),
        cmocka_unit_test(test_goal_follows_live),
        cmocka_unit_test(test_distance_stretches_and_comes_back),
        cmocka_unit_test(test_early_cycles_say_nothing),
        cmocka_unit_test(test_due_by_exact_count),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_limit_counts_what_is_held),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_budget_grows_with_what_was_recovered),
        cmocka_unit_test(test_budget_shrinks_where_nothing_is_recovered),
        cmocka_unit_test(test_budget_outlasts_a_high_estimate),
        cmocka_unit_test(test_budget_asks_the_kernel_once),
        cmocka_unit_test(test_limit_takes_half_of_the_time),
        cmocka_unit_test(test_expecting_garbage),
        cmocka_unit_test(test_thrift_over_cycles_that_were_given_up),
        cmocka_unit_test(test_thrift_in_a_fork_child),
        cmocka_unit_test(test_budget_of_gc_malloc_far_beyond_the_goal),
        cmocka_unit_test(test_overdue_a_quarter_beyond_the_goal),
        cmocka_unit_test(test_skipped_cycles_back_off),
        cmocka_unit_test(test_stress),
        cmocka_unit_test(test_announced_where_somebody_listens),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
