/* The registry of threads: records are recycled and never unmapped; the child of a fork is alone in it. */
#include "os_harness.h"

#include <sched.h>

enum { N_THREADS = 16, N_ROUNDS = 300, N_MANY = 1500 };

static unsigned n_registered(void)
{
    unsigned n = 0;

    os_critical_enter();
    os_lock(&os_thread_registry_lock);
    for (struct os_thread *t = os_thread_first(); t != NULL; t = t->next)
        n++;
    os_unlock(&os_thread_registry_lock);
    os_critical_leave();
    return n;
}

static void registers_once(void **state)
{
    struct os_thread *t;

    (void)state;
    assert_int_equal(n_registered(), 0);
    t = os_thread_register();
    assert_non_null(t);
    assert_ptr_equal(os_thread_register(), t);
    assert_ptr_equal(os_tls.thread, t);
    assert_int_equal(t->tid, os_gettid());
    assert_int_equal(t->gate, OS_GATE_RUNNING);
    assert_int_equal(n_registered(), 1);
    t->asked_sp = 1;
    os_thread_unregister();
    os_thread_unregister();
    assert_int_equal(n_registered(), 0);
    assert_null(os_tls.thread);
    assert_int_equal(t->tid, 0); /* the record is free, and still there */
    assert_ptr_equal(os_thread_register(), t);
    assert_int_equal(t->asked_sp, 0);
    os_thread_unregister();
}

static void *come_and_go(void *arg)
{
    uintptr_t n_bad = 0;

    (void)arg;
    for (int i = 0; i < N_ROUNDS; i++) {
        struct os_thread *t = os_thread_register();

        n_bad += t == NULL || t->tid != os_gettid();
        sched_yield();
        os_thread_unregister();
    }
    return (void *)n_bad;
}

static void threads_come_and_go(void **state)
{
    pthread_t threads[N_THREADS];
    void *n_bad;

    (void)state;
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, NULL), 0);
    for (int i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], &n_bad);
        assert_null(n_bad);
    }
    assert_int_equal(n_registered(), 0);
}

static pthread_barrier_t barrier;

static void *stay_registered(void *arg)
{
    (void)arg;
    os_thread_register();
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    os_thread_unregister();
    return NULL;
}

static int look_in_fork_child(void *arg)
{
    struct os_thread *self = os_tls.thread;

    (void)arg;
    os_thread_fork_child();
    if (n_registered() != 1 || os_thread_first() != self || self->tid != os_gettid())
        return 1;
    os_thread_unregister();
    if (n_registered() != 0 || os_thread_register() == NULL || n_registered() != 1)
        return 2;
    return 0;
}

static void *fork_while_registry_is_held(void *arg)
{
    (void)arg;
    os_critical_enter();
    os_lock(&os_thread_registry_lock);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    os_unlock(&os_thread_registry_lock);
    os_critical_leave();
    return NULL;
}

static void a_fork_child_is_alone(void **state)
{
    pthread_t threads[N_THREADS];

    (void)state;
    os_thread_register();
    pthread_barrier_init(&barrier, NULL, N_THREADS + 1);
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, stay_registered, NULL), 0);
    pthread_barrier_wait(&barrier);
    assert_int_equal(n_registered(), N_THREADS + 1);
    assert_int_equal(run_in_child(look_in_fork_child, NULL), 0);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(n_registered(), 1);
    pthread_barrier_destroy(&barrier);
}

/* Whoever held the lock does not exist in the child. */
static void a_fork_child_does_not_wait_for_the_vanished(void **state)
{
    pthread_t thread;

    (void)state;
    os_thread_register();
    pthread_barrier_init(&barrier, NULL, 2);
    assert_int_equal(pthread_create(&thread, NULL, fork_while_registry_is_held, NULL), 0);
    pthread_barrier_wait(&barrier);
    assert_int_equal(run_in_child(look_in_fork_child, NULL), 0);
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&barrier);
    os_thread_unregister();
}

static void *has_stack_bounds(void *arg)
{
    struct os_thread *t = os_thread_register();
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    bool is_inside;

    (void)arg;
    os_thread_record_stack(t);
    is_inside = t->stack_lo < here && here < t->stack_hi && t->stack_hi - t->stack_lo <= 1ul << 32;
    os_thread_unregister();
    return (void *)(uintptr_t)is_inside;
}

static void stacks_are_recorded(void **state)
{
    pthread_t thread;
    void *is_inside = NULL;

    (void)state;
    assert_non_null(has_stack_bounds(NULL));
    assert_int_equal(pthread_create(&thread, NULL, has_stack_bounds, NULL), 0);
    pthread_join(thread, &is_inside);
    assert_non_null(is_inside);
}

/* Records beyond the first chunk: registered by one thread under many names. */
static void chunks_are_added(void **state)
{
    static struct os_thread *all[N_MANY];

    (void)state;
    for (int i = 0; i < N_MANY; i++) {
        all[i] = os_thread_register();
        assert_non_null(all[i]);
        os_tls.thread = NULL;
    }
    assert_int_equal(n_registered(), N_MANY);
    for (int i = 0; i < N_MANY; i++) {
        os_tls.thread = all[i];
        os_thread_unregister();
    }
    assert_int_equal(n_registered(), 0);
}

/* ---- alternate stacks ---- */

enum { N_LENT = 64, N_SPARE_MAX = 16 };

static bool is_mapped(const void *page)
{
    return page != NULL && msync((void *)page, 1, MS_ASYNC) == 0;
}

/* Each was two mappings, which every cycle read for as long as the process ran. */
static void altstacks_of_ended_threads_go(void **state)
{
    static struct os_thread *all[N_LENT];
    static void *altstacks[N_LENT];
    stack_t none = {.ss_flags = SS_DISABLE};
    unsigned n_mapped = 0, n_kept = 0;

    (void)state;
    for (int i = 0; i < N_LENT; i++) {
        all[i] = os_thread_register();
        os_altstack_lend(all[i]);
        altstacks[i] = all[i]->altstack;
        assert_true(is_mapped(altstacks[i]));
        assert_int_equal(sigaltstack(&none, NULL), 0);
        os_tls.thread = NULL;
    }
    for (int i = 0; i < N_LENT; i++) {
        os_tls.thread = all[i];
        os_thread_unregister();
    }
    for (int i = 0; i < N_LENT; i++)
        n_mapped += is_mapped(altstacks[i]);
    for (const struct os_thread *t = os_thread_first_free(); t != NULL; t = t->next)
        n_kept += is_mapped(t->altstack);
    assert_int_equal(n_mapped, N_SPARE_MAX);
    assert_int_equal(n_kept, N_SPARE_MAX);
}

static char altstack_of_wrapper[64 * 1024];

static void *begin_with_an_altstack(void *arg)
{
    stack_t theirs = {.ss_sp = altstack_of_wrapper, .ss_size = sizeof altstack_of_wrapper}, now;
    struct os_thread *t = os_thread_register();

    if (arg != NULL)
        sigaltstack(&theirs, NULL);
    os_altstack_lend_new(t);
    sigaltstack(NULL, &now);
    void *expected = arg != NULL ? altstack_of_wrapper : t->altstack;
    bool has_expected = now.ss_sp == expected && (now.ss_flags & SS_DISABLE) == 0;
    os_thread_unregister();
    sigaltstack(NULL, &now);
    return has_expected && (arg == NULL) == ((now.ss_flags & SS_DISABLE) != 0) ? &altstack_of_wrapper : NULL;
}

/* Whoever wraps threads' functions, as we do, may come first. */
static void a_new_thread_keeps_the_altstack_that_it_has(void **state)
{
    pthread_t thread;
    void *was_right;

    (void)state;
    for (int has_one = 0; has_one < 2; has_one++) {
        assert_int_equal(pthread_create(&thread, NULL, begin_with_an_altstack, has_one ? &thread : NULL), 0);
        pthread_join(thread, &was_right);
        assert_non_null(was_right);
    }
}

static void *altstack_of_handler;

static void end_in_handler(int sig)
{
    (void)sig;
    os_thread_unregister();
    struct os_thread *t = os_thread_register(); /* as another thread would, while this handler runs on */
    if (t->altstack != altstack_of_handler && is_mapped(altstack_of_handler))
        altstack_of_handler = NULL;
    os_thread_unregister();
}

static void *end_on_altstack(void *arg)
{
    struct sigaction action = {.sa_handler = end_in_handler, .sa_flags = SA_ONSTACK};

    os_altstack_lend(os_thread_register());
    altstack_of_handler = os_tls.thread->altstack;
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    return arg;
}

/* pthread_exit in a handler. */
static void nobody_gets_the_altstack_that_a_thread_ends_on(void **state)
{
    pthread_t thread;

    (void)state;
    altstack_of_handler = NULL;
    assert_int_equal(pthread_create(&thread, NULL, end_on_altstack, NULL), 0);
    pthread_join(thread, NULL);
    assert_null(altstack_of_handler);
}

#if GCM_CHECKING
static int register_without_memory(void *arg)
{
    (void)arg;
    os_fault_set(SYS_mmap, 0, 1, ENOMEM);
    for (int i = 0; i < N_MANY; i++) { /* until a new chunk is wanted */
        if (os_thread_register() == NULL)
            return os_tls.critical == 0 && os_thread_register() != NULL ? 0 : 1;
        os_tls.thread = NULL;
    }
    return 2;
}

static void no_memory_is_told(void **state)
{
    (void)state;
    assert_int_equal(run_in_child(register_without_memory, NULL), 0);
}
#endif

/* Of the processors that the first thread may use, and not more. */
static void *keep_off(void *like)
{
    for (int round = 0; round < 50; round++) {
        int cpu = os_cpu();

        assert_true(cpu >= 0);
        assert_true(os_thread_keep_off(0, *(pid_t *)like, cpu));
        assert_int_not_equal(os_cpu(), cpu);
        assert_int_equal(os_n_cpus() + 1, *((pid_t *)like + 1));
    }
    return NULL;
}

static void a_thread_keeps_off_a_processor(void **state)
{
    pid_t like[2] = {os_gettid(), (pid_t)os_n_cpus()};
    pthread_t thread;
    cpu_set_t all, one;

    (void)state;
    if (like[1] > 1) {
        assert_int_equal(pthread_create(&thread, NULL, keep_off, like), 0);
        pthread_join(thread, NULL);
    }
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    int cpu = os_cpu();
    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    assert_false(os_thread_keep_off(0, 0, cpu)); /* there is no other */
    assert_int_equal(os_n_cpus(), 1);
    assert_false(os_thread_keep_off(0, 0, -1));
    assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_keeps_off_a_processor),
        cmocka_unit_test(registers_once),
        cmocka_unit_test(threads_come_and_go),
        cmocka_unit_test(a_fork_child_is_alone),
        cmocka_unit_test(a_fork_child_does_not_wait_for_the_vanished),
        cmocka_unit_test(stacks_are_recorded),
        cmocka_unit_test(altstacks_of_ended_threads_go),
        cmocka_unit_test(nobody_gets_the_altstack_that_a_thread_ends_on),
        cmocka_unit_test(a_new_thread_keeps_the_altstack_that_it_has),
#if GCM_CHECKING
        cmocka_unit_test(no_memory_is_told),
#endif
        cmocka_unit_test(chunks_are_added),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
