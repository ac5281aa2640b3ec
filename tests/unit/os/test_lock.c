/* Futex locks: exclusion under contention, ranks, the child of a fork. */
#include "os_harness.h"

enum { N_THREADS = 8, N_ROUNDS = 20000 };

static struct os_lock counter_lock = OS_LOCK_INIT(OS_RANK_CENTRAL);
static uint64_t counter; /* plain: the lock guards it */

static void *count(void *arg)
{
    (void)arg;
    for (int i = 0; i < N_ROUNDS; i++) {
        os_critical_enter();
        os_lock(&counter_lock);
        counter++;
        if (i % 512 == 0)
            sched_yield();
        os_unlock(&counter_lock);
        os_critical_leave();
    }
    return NULL;
}

static void one_holder_at_a_time(void **state)
{
    pthread_t threads[N_THREADS];

    (void)state;
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(counter, (uint64_t)N_THREADS * N_ROUNDS);
    assert_int_equal(counter_lock.word, 0);
}

static void trying_takes_only_a_free_lock(void **state)
{
    struct os_lock l = OS_LOCK_INIT(OS_RANK_CYCLE);

    (void)state;
    os_critical_enter();
    assert_false(os_lock_is_held(&l));
    assert_true(os_trylock(&l));
    assert_true(os_lock_is_held(&l));
    assert_false(os_trylock(&l));
    os_unlock(&l);
    assert_true(os_trylock(&l));
    os_lock_reset(&l); /* as a fork child does */
    assert_false(os_lock_is_held(&l));
    os_lock(&l);
    os_unlock(&l);
    os_critical_leave();
    assert_int_equal(os_tls.critical, 0);
}

static void ranks_may_rise(void **state)
{
    struct os_lock outer = OS_LOCK_INIT(OS_RANK_REGISTRY), inner = OS_LOCK_INIT(OS_RANK_META);

    (void)state;
    os_critical_enter();
    os_lock(&outer);
    os_lock(&inner);
    os_unlock(&outer); /* in any order */
    os_unlock(&inner);
    os_critical_leave();
}

static void waiting_ends_in_time(void **state)
{
    uint32_t word = 1;
    uint64_t begin_ns = os_clock_ns();

    (void)state;
    os_futex_wait(&word, 0, UINT64_MAX); /* another value: at once */
    os_futex_wait(&word, 1, 5000000);
    assert_true(os_clock_ns() - begin_ns >= 4000000);
}

#if GCM_CHECKING
static int take_in_wrong_order(void *arg)
{
    struct os_lock outer = OS_LOCK_INIT(OS_RANK_REGISTRY), inner = OS_LOCK_INIT(OS_RANK_META);

    (void)arg;
    os_critical_enter();
    os_lock(&inner);
    os_lock(&outer);
    return 0;
}

static int take_two_of_one_rank(void *arg)
{
    struct os_lock a = OS_LOCK_INIT(OS_RANK_CENTRAL), b = OS_LOCK_INIT(OS_RANK_CENTRAL);

    (void)arg;
    os_critical_enter();
    os_lock(&a);
    os_lock(&b);
    return 0;
}

static int take_outside_of_a_section(void *arg)
{
    struct os_lock l = OS_LOCK_INIT(OS_RANK_META);

    (void)arg;
    os_lock(&l);
    return 0;
}

static int unlock_what_is_not_held(void *arg)
{
    struct os_lock l = OS_LOCK_INIT(OS_RANK_META);

    (void)arg;
    os_critical_enter();
    os_unlock(&l);
    return 0;
}

static int leave_once_too_often(void *arg)
{
    (void)arg;
    os_critical_leave();
    return 0;
}

static void misuse_aborts(void **state)
{
    int (*const wrong[])(void *) = {take_in_wrong_order, take_two_of_one_rank, take_outside_of_a_section,
                                    unlock_what_is_not_held, leave_once_too_often};
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        int status = run_in_child_reading(wrong[i], NULL, text, sizeof(text));

        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
        assert_non_null(strstr(text, "libgcmalloc: internal error: "));
    }
}

static void a_kernel_without_futex_costs_only_time(void **state)
{
    pthread_t thread;

    (void)state;
    counter = 0;
    os_fault_set(SYS_futex, 0, UINT32_MAX, EINTR);
    assert_int_equal(pthread_create(&thread, NULL, count, NULL), 0);
    count(NULL);
    pthread_join(thread, NULL);
    os_fault_set(FAULT_OFF, 0, 0, 0);
    assert_int_equal(counter, 2 * N_ROUNDS);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_holder_at_a_time),
        cmocka_unit_test(trying_takes_only_a_free_lock),
        cmocka_unit_test(ranks_may_rise),
        cmocka_unit_test(waiting_ends_in_time),
#if GCM_CHECKING
        cmocka_unit_test(misuse_aborts),
        cmocka_unit_test(a_kernel_without_futex_costs_only_time),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
