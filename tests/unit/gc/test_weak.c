/* Weak references through cycles whose only root is an array of the test. */
#include "gc/weak.h"

#include <errno.h>
#include "base/counters.h"
#include "gc_blocks.h"
#include "heap/probation.h"

static void *roots[4];
static struct sweep_totals totals;

static struct finalizer_split_result collect(void)
{
    return gc_block_cycle(roots, sizeof(roots), &totals);
}

static int fresh(void **state)
{
    (void)state;
    memset(roots, 0, sizeof(roots));
    for (int i = 0; i < 4; i++) {
        collect();
        finalizer_run_queued();
    }
    return 0;
}

static void *block(void)
{
    return gc_block(FLAVOR_GC, 64);
}

static struct gc_weak *weak_of(void *obj)
{
    int error = -1;
    struct gc_weak *weak = weak_new(obj, &error);
    assert_non_null(weak);
    assert_int_equal(error, 0);
    return weak;
}

static bool forget(void *p)
{
    os_critical_enter();
    bool may_free = finalizer_forget((uintptr_t)p);
    os_critical_leave();
    return may_free;
}

static void test_errors(void **state)
{
    (void)state;
    int foreign, error = 0;
    char *p = block();
    assert_null(weak_new(&foreign, &error));
    assert_int_equal(error, EINVAL);
    error = 0;
    assert_null(weak_new(p + 8, &error));
    assert_int_equal(error, EINVAL);
}

static void test_cleared_when_the_target_goes(void **state)
{
    (void)state;
    void *p = block();
    struct gc_weak *first = weak_of(p), *second = weak_of(p);
    assert_ptr_not_equal(first, second);
    roots[0] = p;
    roots[1] = first;
    roots[2] = second;
    collect();
    assert_ptr_equal(weak_get(first), p);
    assert_ptr_equal(weak_get(second), p);
    roots[0] = NULL;
    uint64_t n_cleared = counter_get(COUNTER_WEAK_CLEARED);
    collect();
    assert_false(gc_block_is_live(p));
    assert_null(weak_get(first));
    assert_null(weak_get(second));
    assert_int_equal(counter_get(COUNTER_WEAK_CLEARED) - n_cleared, 2);
    collect();
    assert_null(weak_get(first));
}

static void test_dead_handles_are_forgotten(void **state)
{
    (void)state;
    void *p = roots[0] = block();
    struct gc_weak *kept = roots[1] = weak_of(p);
    for (int i = 0; i < 10000; i++)
        weak_of(p);
    collect();
    assert_ptr_equal(weak_get(kept), p);
    assert_true(gc_block_is_live(kept));
    assert_int_equal(totals.n_live, 2);
    roots[1] = NULL;
    collect(); /* the last handle: p is an ordinary block again */
    assert_true(gc_block_is_live(p));
    roots[0] = NULL;
    collect();
    assert_int_equal(totals.n_live, 0);
}

static void test_free_of_either_side(void **state)
{
    (void)state;
    void *p = roots[0] = block(), *q = roots[1] = block();
    struct gc_weak *to_p = roots[2] = weak_of(p), *to_q = roots[3] = weak_of(q);
    assert_true(heap_is_special((uintptr_t)p) && heap_is_special((uintptr_t)to_q));
    assert_true(forget(p));
    gc_block_free(p);
    assert_null(weak_get(to_p));
    assert_true(forget(to_q));
    gc_block_free(to_q);
    roots[0] = roots[3] = NULL;
    collect();
    assert_true(gc_block_is_live(q));
    assert_null(weak_get(to_p));
}

static void *seen;

static void look(void *obj, void *arg)
{
    (void)obj;
    seen = weak_get(arg);
}

/* Short links: a finalizer already finds its block's links cleared. */
static void test_cleared_before_finalizers(void **state)
{
    (void)state;
    void *p = block();
    struct gc_weak *weak = roots[0] = weak_of(p);
    assert_int_equal(finalizer_set(p, look, weak), 0);
    seen = p;
    assert_int_equal(collect().n_queued, 1);
    assert_true(gc_block_is_live(p));
    assert_null(weak_get(weak));
    finalizer_run_queued();
    assert_null(seen);
}

/* A handle that only a block to be finalized holds is still a handle. */
static void test_handle_held_by_a_finalizer(void **state)
{
    (void)state;
    void *target = roots[0] = block(), **holder = block();
    holder[0] = weak_of(target);
    assert_int_equal(finalizer_set(holder, look, holder[0]), 0);
    seen = NULL;
    assert_int_equal(collect().n_queued, 1);
    roots[0] = NULL;
    collect(); /* the target goes before the finalizer runs */
    assert_false(gc_block_is_live(target));
    finalizer_run_queued();
    assert_null(seen);
}

/* The handle's own word is no reference, nor is any copy of it. */
static void test_content_is_hidden(void **state)
{
    (void)state;
    void *p = block();
    struct gc_weak *weak = roots[0] = weak_of(p);
    memcpy(&roots[1], weak, 16);
    collect();
    assert_false(gc_block_is_live(p));
    assert_null(weak_get(weak));
}

/* Unreachable twice running, but asked for in between: what holds it then is unreachable for the first time, and can still be had. */
static void test_suspect_held_by_another(void **state)
{
    (void)state;
    void **target = block(), **holder = block();
    target[0] = block();
    struct gc_weak *to_target = roots[0] = weak_of(target), *to_holder = roots[1] = weak_of(holder);
    roots[2] = holder;
    probation_set(true);
    collect();
    holder[0] = weak_get(to_target);
    assert_ptr_equal(holder[0], target);
    roots[2] = NULL;
    collect();
    holder = weak_get(to_holder);
    assert_non_null(holder);
    assert_true(gc_block_is_live(holder[0]));
    assert_true(gc_block_is_live(target[0]));
    target[1] = holder; /* each holds the other: both go all the same */
    for (int i = 0; i < 4; i++)
        collect();
    assert_null(weak_get(to_target));
    assert_null(weak_get(to_holder));
    assert_false(gc_block_is_live(target) || gc_block_is_live(holder));
    probation_set(false);
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
        cmocka_unit_test_setup(test_errors, fresh),
        cmocka_unit_test_setup(test_cleared_when_the_target_goes, fresh),
        cmocka_unit_test_setup(test_dead_handles_are_forgotten, fresh),
        cmocka_unit_test_setup(test_free_of_either_side, fresh),
        cmocka_unit_test_setup(test_cleared_before_finalizers, fresh),
        cmocka_unit_test_setup(test_handle_held_by_a_finalizer, fresh),
        cmocka_unit_test_setup(test_content_is_hidden, fresh),
        cmocka_unit_test_setup(test_suspect_held_by_another, fresh),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
