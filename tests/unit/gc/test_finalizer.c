/* Finalizers, cleanups and pins through cycles whose only root is an array of the test. */
#include "gc/finalizer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include "base/counters.h"
#include "gc_blocks.h"

static void *roots[4];
static struct sweep_totals totals;

static struct {
    size_t n;
    void *objs[16], *args[16];
} ran;

static void note(void *obj, void *arg)
{
    if (ran.n < N_ELEMENTS(ran.objs)) {
        ran.objs[ran.n] = obj;
        ran.args[ran.n] = arg;
    }
    ran.n++;
}

static void note_cleanup(void *arg)
{
    note(NULL, arg);
}

static struct finalizer_split_result collect(void)
{
    return gc_block_cycle(roots, sizeof(roots), &totals);
}

/* Everything of the test before is gone. */
static int fresh(void **state)
{
    (void)state;
    memset(roots, 0, sizeof(roots));
    for (int i = 0; i < 8; i++) {
        collect();
        finalizer_run_queued();
    }
    memset(&ran, 0, sizeof(ran));
    return 0;
}

static void **block(void)
{
    return gc_block(FLAVOR_GC, 64);
}

/* ---- finalizers ---- */

static void test_errors(void **state)
{
    (void)state;
    int foreign;
    char *p = (char *)block();
    assert_int_equal(finalizer_set(&foreign, note, NULL), EINVAL);
    assert_int_equal(finalizer_set(NULL, note, NULL), EINVAL);
    assert_int_equal(finalizer_set(p + 8, note, NULL), EINVAL);
    assert_int_equal(finalizer_set(p, NULL, NULL), 0);
    assert_int_equal(finalizer_set(p, note, NULL), 0);
    assert_int_equal(finalizer_set(p, note, NULL), EEXIST);
    assert_int_equal(finalizer_set(p, NULL, NULL), 0);
    assert_int_equal(finalizer_set(p, note, NULL), 0);
    assert_int_equal(finalizer_set(p, NULL, NULL), 0);
    assert_int_equal(finalizer_add_cleanup(p, NULL, NULL), EINVAL);
    assert_int_equal(finalizer_add_cleanup(p + 1, note_cleanup, NULL), EINVAL);
    assert_int_equal(finalizer_pin(p + 16), EINVAL);
    assert_int_equal(finalizer_unpin(p), EINVAL);
    gc_block_free(p);
    assert_int_equal(finalizer_set(p, note, NULL), EINVAL);
}

static void test_once_and_then_gone(void **state)
{
    (void)state;
    void **p = block(), **held = block(), *arg = block();
    p[0] = held;
    roots[0] = p;
    assert_int_equal(finalizer_set(p, note, arg), 0);
    assert_int_equal(collect().n_queued, 0);
    assert_true(gc_block_is_live(arg)); /* as if p pointed to it */
    roots[0] = NULL;
    assert_int_equal(collect().n_queued, 1);
    assert_int_equal(finalizer_queued(), 1);
    for (int i = 0; i < 3; i++) { /* the queue holds all of it */
        assert_int_equal(collect().n_queued, 0);
        assert_true(gc_block_is_live(p) && gc_block_is_live(held) && gc_block_is_live(arg));
    }
    assert_int_equal(ran.n, 0);
    assert_int_equal(finalizer_run_queued(), 1);
    assert_int_equal(ran.n, 1);
    assert_ptr_equal(ran.objs[0], p);
    assert_ptr_equal(ran.args[0], arg);
    collect();
    assert_false(gc_block_is_live(p) || gc_block_is_live(held) || gc_block_is_live(arg));
    assert_int_equal(finalizer_run_queued(), 0);
}

static void test_dependency_order(void **state)
{
    (void)state;
    void **a = block(), **b = block(), **c = block(), **plain = block();
    a[0] = plain;
    plain[0] = b;
    assert_int_equal(finalizer_set(c, note, NULL), 0);
    assert_int_equal(finalizer_set(b, note, c), 0); /* through the argument */
    assert_int_equal(finalizer_set(a, note, NULL), 0);
    void *const order[] = {a, b, c};
    for (size_t i = 0; i < 3; i++) {
        struct finalizer_split_result result = collect();
        assert_int_equal(result.n_queued, 1);
        assert_int_equal(result.n_cyclic, 0);
        assert_int_equal(finalizer_run_queued(), 1);
        assert_ptr_equal(ran.objs[i], order[i]);
    }
}

static void test_cycles_are_never_finalized(void **state)
{
    (void)state;
    void **a = block(), **b = block(), **self = block(), **arg_self = block();
    a[0] = b;
    b[0] = a;
    self[3] = self;
    assert_int_equal(finalizer_set(a, note, NULL), 0);
    assert_int_equal(finalizer_set(self, note, NULL), 0);
    assert_int_equal(finalizer_set(arg_self, note, arg_self), 0);
    for (int i = 0; i < 3; i++) {
        struct finalizer_split_result result = collect();
        assert_int_equal(result.n_queued, 0);
        assert_int_equal(result.n_cyclic, 3);
        assert_int_equal(result.n_cyclic_new, i == 0 ? 3 : 0);
        assert_true(gc_block_is_live(a) && gc_block_is_live(b) && gc_block_is_live(self) &&
                    gc_block_is_live(arg_self));
    }
    assert_int_equal(finalizer_set(a, NULL, NULL), 0);
    assert_int_equal(finalizer_set(self, NULL, NULL), 0);
    assert_int_equal(finalizer_set(arg_self, NULL, NULL), 0);
    collect();
    assert_false(gc_block_is_live(a) || gc_block_is_live(self) || gc_block_is_live(arg_self));
}

static void resurrect(void *obj, void *arg)
{
    note(obj, arg);
    roots[1] = obj;
    assert_int_equal(finalizer_set(obj, note, NULL), 0); /* once more */
    assert_int_equal(finalizer_run_queued(), 0);         /* nested: it is not on the queue any more */
}

static void test_resurrection(void **state)
{
    (void)state;
    void **p = block();
    assert_int_equal(finalizer_set(p, resurrect, NULL), 0);
    assert_int_equal(collect().n_queued, 1);
    assert_int_equal(finalizer_run_queued(), 1);
    assert_int_equal(collect().n_queued, 0);
    assert_true(gc_block_is_live(p));
    roots[1] = NULL;
    assert_int_equal(collect().n_queued, 1);
    assert_int_equal(finalizer_run_queued(), 1);
    assert_int_equal(ran.n, 2);
    collect();
    assert_false(gc_block_is_live(p));
}

static void collect_inside(void *obj, void *arg)
{
    note(obj, arg);
    collect();
    assert_true(gc_block_is_live(obj) && gc_block_is_live(arg));
}

static void test_held_while_it_runs(void **state)
{
    (void)state;
    assert_int_equal(finalizer_set(block(), collect_inside, block()), 0);
    collect();
    assert_int_equal(finalizer_run_queued(), 1);
    assert_int_equal(ran.n, 1);
}

/* ---- free ---- */

static bool forget(void *p)
{
    os_critical_enter();
    bool may_free = finalizer_forget((uintptr_t)p);
    os_critical_leave();
    return may_free;
}

static void test_free_drops_everything(void **state)
{
    (void)state;
    void **p = block(), **q = block();
    assert_int_equal(finalizer_set(p, note, NULL), 0);
    assert_int_equal(finalizer_add_cleanup(p, note_cleanup, NULL), 0);
    assert_int_equal(finalizer_set(q, note, NULL), 0);
    assert_true(forget(p));
    gc_block_free(p);
    assert_int_equal(collect().n_queued, 1); /* q */
    assert_true(forget(q));                  /* on the queue already */
    gc_block_free(q);
    assert_int_equal(finalizer_run_queued(), 0);
    assert_int_equal(ran.n, 0);
    assert_int_equal(finalizer_queued(), 0);
}

/* ---- cleanups ---- */

static void test_cleanups(void **state)
{
    (void)state;
    void **a = block(), **b = block(), *arg = block();
    a[0] = b; /* a cycle: cleanups do not mind */
    b[0] = a;
    roots[0] = a;
    assert_int_equal(finalizer_add_cleanup(a, note_cleanup, arg), 0);
    assert_int_equal(finalizer_add_cleanup(a, note_cleanup, NULL), 0);
    assert_int_equal(finalizer_add_cleanup(b, note_cleanup, NULL), 0);
    assert_int_equal(collect().n_cleanups, 0);
    roots[0] = NULL;
    assert_int_equal(collect().n_cleanups, 3);
    assert_false(gc_block_is_live(a) || gc_block_is_live(b));
    assert_true(gc_block_is_live(arg));
    collect();
    assert_true(gc_block_is_live(arg));
    assert_int_equal(finalizer_run_queued(), 3);
    assert_true(ran.args[0] == arg || ran.args[1] == arg || ran.args[2] == arg);
    collect();
    assert_false(gc_block_is_live(arg));
}

static void test_cleanup_after_finalizer(void **state)
{
    (void)state;
    void **p = block();
    assert_int_equal(finalizer_add_cleanup(p, note_cleanup, (void *)1), 0);
    assert_int_equal(finalizer_set(p, note, (void *)2), 0);
    struct finalizer_split_result result = collect();
    assert_int_equal(result.n_queued, 1);
    assert_int_equal(result.n_cleanups, 0);
    finalizer_run_queued();
    assert_int_equal(collect().n_cleanups, 1);
    finalizer_run_queued();
    assert_int_equal(ran.n, 2);
    assert_ptr_equal(ran.args[0], (void *)2);
    assert_ptr_equal(ran.args[1], (void *)1);
}

/* ---- pins ---- */

static void test_pins(void **state)
{
    (void)state;
    void **p = block(), *held = block();
    p[0] = held;
    assert_int_equal(finalizer_pin(p), 0);
    assert_int_equal(finalizer_pin(p), 0);
    assert_false(forget(p));
    collect();
    assert_true(gc_block_is_live(p) && gc_block_is_live(held));
    assert_int_equal(finalizer_unpin(p), 0);
    collect();
    assert_true(gc_block_is_live(p));
    assert_int_equal(finalizer_unpin(p), 0);
    assert_int_equal(finalizer_unpin(p), EINVAL);
    collect();
    assert_false(gc_block_is_live(p) || gc_block_is_live(held));
}

/* ---- many, and the thread ---- */

enum { N_MANY = 1000000 };
static size_t n_finalized;

static void count(void *obj, void *arg)
{
    (void)obj, (void)arg;
    __atomic_add_fetch(&n_finalized, 1, __ATOMIC_RELAXED);
}

static int start_thread(void *(*fn)(void *), void *arg)
{
    pthread_t id;
    return pthread_create(&id, NULL, fn, arg);
}

static void test_a_million_on_the_thread(void **state)
{
    (void)state;
    n_finalized = 0;
    finalizer_thread_enable(false);
    finalizer_set_thread_starter(start_thread);
    for (size_t i = 0; i < N_MANY; i++)
        assert_int_equal(finalizer_set(gc_block(FLAVOR_GC, 16), count, NULL), 0);
    assert_int_equal(collect().n_queued, N_MANY);
    assert_int_equal(finalizer_queued(), N_MANY);
    finalizer_thread_poke(); /* not allowed yet */
    assert_int_equal(n_finalized, 0);
    finalizer_thread_enable(true);
    finalizer_thread_poke();
    finalizer_thread_poke(); /* one is enough */
    for (int i = 0; i < 6000 && __atomic_load_n(&n_finalized, __ATOMIC_RELAXED) < N_MANY; i++)
        os_futex_wait(&(uint32_t){0}, 0, 10000000);
    assert_int_equal(n_finalized, N_MANY);
    assert_int_equal(finalizer_queued(), 0);
    /* it sleeps now, and is woken by the next */
    assert_int_equal(finalizer_set(block(), count, NULL), 0);
    while (collect().n_queued == 0)
        continue;
    finalizer_wake();
    for (int i = 0; i < 6000 && __atomic_load_n(&n_finalized, __ATOMIC_RELAXED) < N_MANY + 1; i++)
        os_futex_wait(&(uint32_t){0}, 0, 10000000);
    assert_int_equal(n_finalized, N_MANY + 1);
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
        cmocka_unit_test_setup(test_once_and_then_gone, fresh),
        cmocka_unit_test_setup(test_dependency_order, fresh),
        cmocka_unit_test_setup(test_cycles_are_never_finalized, fresh),
        cmocka_unit_test_setup(test_resurrection, fresh),
        cmocka_unit_test_setup(test_held_while_it_runs, fresh),
        cmocka_unit_test_setup(test_free_drops_everything, fresh),
        cmocka_unit_test_setup(test_cleanups, fresh),
        cmocka_unit_test_setup(test_cleanup_after_finalizer, fresh),
        cmocka_unit_test_setup(test_pins, fresh),
        cmocka_unit_test_setup(test_a_million_on_the_thread, fresh), /* last: the thread stays */
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
