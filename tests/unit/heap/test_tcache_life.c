/* Caches of threads that ended: parked for the next thread that begins, of use to others, and gone with time. */
#include "heap_harness.h"

enum { SIZE = 64 };
#define DECAY_NS ((uint64_t)1000 * 1000 * 1000) /* some ticks of decay */

static void *keep_and_park(void *out)
{
    *(void **)out = harness_alloc(SIZE);
    os_critical_enter();
    tcache_retire();
    os_critical_leave();
    return NULL;
}

static void end_with_a_parked_cache(void *out)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, keep_and_park, out), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    harness_check();
}

static void a_thread_that_begins_has_the_cache_of_one_that_ended(void **state)
{
    (void)state;
    void *kept, *mine;
    harness_start_afresh();
    end_with_a_parked_cache(&kept);
    struct span *s = harness_span(kept);
    struct tcache *parked = atomic_load(&s->owner);
    assert_true(parked->is_parked && parked->is_active);
    size_t created = counter_get(COUNTER_SPANS_CREATED), adopted = counter_get(COUNTER_SPANS_ADOPTED);
    mine = harness_alloc(SIZE);
    assert_ptr_equal(tcache_self, parked);
    assert_false(parked->is_parked);
    assert_ptr_equal(tcache_self->malloc_set.bins[sizeclass_of(SIZE)].span, s);
    assert_ptr_equal(harness_span(mine), s);
    assert_int_equal(counter_get(COUNTER_SPANS_CREATED), created);
    assert_int_equal(counter_get(COUNTER_SPANS_ADOPTED), adopted);
    harness_free(kept); /* its own now */
    harness_free(mine);
    harness_start_afresh();
}

/* What a parked cache owns is as good as central's for whoever lacks it, and goes back with time. */
static void what_parked_caches_own_serves_others(void **state)
{
    (void)state;
    void *kept, *mine, *other;
    harness_start_afresh();
    other = harness_alloc(SIZE * 2); /* this thread has a cache, and no span of that class */
    end_with_a_parked_cache(&kept);
    struct span *s = harness_span(kept);
    struct tcache *parked = atomic_load(&s->owner);
    size_t created = counter_get(COUNTER_SPANS_CREATED);
    mine = harness_alloc(SIZE);
    assert_ptr_equal(harness_span(mine), s);
    assert_int_equal(counter_get(COUNTER_SPANS_CREATED), created);
    assert_false(parked->is_active || parked->is_parked);
    assert_ptr_equal(atomic_load(&parked->inbox.head), INBOX_CLOSED);
    harness_free(mine);
    harness_free(kept);
    harness_free(other);
    harness_start_afresh();
}

static void messages_to_a_parked_cache_arrive(void **state)
{
    (void)state;
    void *kept;
    harness_start_afresh();
    void *other = harness_alloc(SIZE * 2);
    end_with_a_parked_cache(&kept);
    struct span *s = harness_span(kept);
    harness_free(kept);
    assert_int_not_equal(span_flags(s) & SPAN_REMOTE, 0);
    size_t released = counter_get(COUNTER_SPANS_RELEASED);
    os_critical_enter();
    tcache_unpark_all();
    os_critical_leave();
    assert_int_equal(counter_get(COUNTER_SPANS_RELEASED), released + 1);
    harness_free(other);
    harness_start_afresh();
}

/* The child has no other threads, so nobody's caches but its own: their spans are central's. */
static void a_fork_child_has_no_parked_cache(void **state)
{
    (void)state;
    void *kept;
    harness_start_afresh();
    void *other = harness_alloc(SIZE * 2);
    end_with_a_parked_cache(&kept);
    struct tcache *parked = atomic_load(&harness_span(kept)->owner);
    pid_t child = fork();
    if (child == 0) {
        os_critical_enter();
        heap_fork_child();
        heap_check();
        bool ok = !parked->is_parked && !parked->is_active && !tcache_unpark_one() &&
                  atomic_load(&harness_span(kept)->owner) == NULL;
        os_critical_leave();
        _exit(ok ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    harness_free(kept);
    harness_free(other);
    harness_start_afresh();
}

static void parked_caches_go_with_time(void **state)
{
    (void)state;
    void *kept;
    harness_start_afresh();
    end_with_a_parked_cache(&kept);
    struct tcache *parked = atomic_load(&harness_span(kept)->owner);
    os_critical_enter();
    heap_decay(os_clock_coarse_ns() + DECAY_NS);
    os_critical_leave();
    assert_false(parked->is_parked || parked->is_active);
    assert_null(atomic_load(&harness_span(kept)->owner));
    harness_free(kept);
    harness_start_afresh();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_begins_has_the_cache_of_one_that_ended),
        cmocka_unit_test(what_parked_caches_own_serves_others),
        cmocka_unit_test(messages_to_a_parked_cache_arrive),
        cmocka_unit_test(a_fork_child_has_no_parked_cache),
        cmocka_unit_test(parked_caches_go_with_time),
    };
    return cmocka_run_group_tests(tests, harness_setup, NULL);
}
