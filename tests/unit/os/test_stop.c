/* Stopping threads of every kind, again and again: while the world is stopped nothing moves, nothing is half
 * done, and every register is found. */
#include "stop_harness.h"

#include "base/compiler.h"

enum {
    N_EACH = 7,
    N_STOPS = 40, /* UNIT_N_STOPS in the environment asks for more */
};

extern const char __start_gcm_fast[], __stop_gcm_fast[];

/* ---- kinds of threads -------------------------------------------------------------- */

static void *sleep_long(void *arg)
{
    struct worker *w = arg;
    struct timespec ts = {0, 300000};

    while (!world_is_over) {
        nanosleep(&ts, NULL);
        w->n_steps++;
    }
    return NULL;
}

static void *spin_blocked(void *arg)
{
    struct worker *w = arg;
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    while (!world_is_over) {
        w->n_steps++;
        sched_yield();
    }
    return NULL;
}

static void *wait_for_signals(void *arg)
{
    struct worker *w = arg;
    struct timespec ts = {0, 1000000};
    sigset_t all;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    while (!world_is_over) {
        sigtimedwait(&all, NULL, &ts);
        w->n_steps++;
    }
    return NULL;
}

static void *publish(void *arg)
{
    struct worker *w = arg;
    struct timespec ts = {0, 300000};
    struct os_gate_frame frame;

    os_thread_register();
    while (!world_is_over) {
        os_gate_publish(&frame);
        nanosleep(&ts, NULL);
        os_gate_leave(&frame);
        w->n_steps++;
    }
    os_thread_unregister();
    return NULL;
}

static struct os_lock shared_lock = OS_LOCK_INIT(OS_RANK_CENTRAL);

static void *lock_and_unlock(void *arg)
{
    struct worker *w = arg;

    os_thread_register();
    while (!world_is_over) {
        os_critical_enter();
        w->is_inside = 1;
        os_lock(&shared_lock);
        w->n_steps++;
        os_unlock(&shared_lock);
        w->is_inside = 0;
        os_critical_leave();
    }
    os_thread_unregister();
    return NULL;
}

/* As malloc is built: a fast path that fails over to a slow one where the thread's cache is empty. */
static __thread volatile uint32_t fast_is_cut;
static volatile unsigned n_slow_paths;

static void cut_fast(void)
{
    fast_is_cut = true;
}

static void mend_fast(void)
{
    fast_is_cut = false;
}

static NOINLINE void slow_path(struct worker *w)
{
    os_critical_enter();
    assert_false(fast_is_cut);
    w->n_steps++;
    n_slow_paths++;
    os_critical_leave();
}

FAST_TEXT static void fast_path(struct worker *w)
{
    if (fast_is_cut) {
        slow_path(w);
        return;
    }
    w->is_inside = 1;
    for (int i = 0; i < 20; i++)
        w->n_steps++;
    w->is_inside = 0;
}

static void *run_fast_paths(void *arg)
{
    while (!world_is_over)
        fast_path(arg);
    return NULL;
}

static void *do_nothing(void *arg)
{
    return arg;
}

static void *make_threads(void *arg)
{
    struct worker *w = arg;

    while (!world_is_over) {
        pthread_t thread;

        if (pthread_create(&thread, NULL, do_nothing, NULL) == 0)
            pthread_join(thread, NULL);
        w->n_steps++;
    }
    return NULL;
}

static void stop_many_times(void)
{
    const char *wanted = getenv("UNIT_N_STOPS");
    unsigned n_stops = wanted != NULL ? (unsigned)atoi(wanted) : N_STOPS;

    for (unsigned i = 0; i < n_stops; i++) {
        assert_true(world_stop());
        assert_nothing_moves(i % 100 == 0 ? 2000 : 0);
        world_start();
    }
    assert_all_move();
}

static int group_setup(void **state)
{
    (void)state;
    os_process_init();
    os_thread_register(); /* as whoever collects is */
    os_stop_set_fast_text((uintptr_t)__start_gcm_fast, (uintptr_t)__stop_gcm_fast);
    os_stop_set_fast_hooks(cut_fast, mend_fast);
    return 0;
}

/* ---- the tests -------------------------------------------------------------------------------- */

static void stops_threads_of_every_kind(void **state)
{
    static char foreign_tls[8192] __attribute__((aligned(64)));

    (void)state;
    start_kind(spin, N_EACH);
    start_kind(sleep_long, N_EACH);
    start_kind(spin_blocked, N_EACH);
    start_kind(wait_for_signals, N_EACH);
    start_kind(publish, N_EACH);
    start_kind(lock_and_unlock, N_EACH);
    start_kind(run_fast_paths, N_EACH);
    start_kind(make_threads, 1);
    start_clone(0, NULL);                          /* shares the TLS of this thread */
    start_clone(CLONE_SETTLS, foreign_tls + 4096); /* TLS of zeros */
    start_clone(CLONE_SETTLS, NULL);               /* TLS that faults */
    world_n_busy = world_n_critical = world_n_held = 0;
    stop_many_times();
    end_clones();
    end_all();
    print_message("busy %u, critical %u, held %u, gone %u, slow paths %u\n", world_n_busy, world_n_critical,
                  world_n_held, world_n_gone, n_slow_paths);
    assert_true(world_n_held > 0 && n_slow_paths > 0);
}

static volatile unsigned n_changes_of_id;

/* libc changes the ids of all threads by signal 33 and waits until each has done it: one lost, and this never
 * ends. */
static void *change_ids(void *arg)
{
    (void)arg;
    while (!world_is_over) {
        if (seteuid(1000) != 0 || seteuid(0) != 0)
            break;
        n_changes_of_id++;
    }
    return NULL;
}

static void passes_changes_of_id_on_to_libc(void **state)
{
    uint64_t end_ns = os_clock_ns() + 3000000000ull;
    unsigned n_stops = 0;

    (void)state;
    if (geteuid() != 0)
        skip();
    start_kind(spin_blocked, 3);
    start_kind(sleep_long, 3);
    start_kind(publish, 2);
    start_kind(lock_and_unlock, 2);
    threads[n_threads++] = world_spawn(change_ids, NULL);
    n_changes_of_id = 0;
    while (os_clock_ns() < end_ns) {
        unsigned n_before;

        assert_true(world_stop());
        n_before = n_changes_of_id;
        assert_nothing_moves(0);
        assert_int_equal(n_changes_of_id, n_before);
        world_start();
        n_stops++;
    }
    assert_all_move();
    end_all();
    assert_int_equal(geteuid(), 0);
    print_message("%u stops, %u changes of id\n", n_stops, n_changes_of_id);
    assert_true(n_changes_of_id > 10 && n_stops > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stops_threads_of_every_kind),
        cmocka_unit_test(passes_changes_of_id_on_to_libc),
    };

    if (is_emulated()) /* it drops si_errno, and has a thread that nobody can stop */
        return 0;
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
