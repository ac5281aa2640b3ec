/* What a cycle lets a finalizer find: all that its block reaches, also what no word leads to but a number of Python's. */
#include "gc/cycle.h"

#include <stdlib.h>

#include "gc/disguise.h"
#include "gc/pacer.h"
#include "gc/roots.h"
#include "gc_blocks.h"

enum { INTEGER_SIZE = 56, DIGIT_BITS = 30 };

static struct {
    uintptr_t obj, held; /* hidden */
    size_t n_finalized, n_cleaned;
} seen;

static void finalize(void *obj, void *arg)
{
    (void)arg;
    assert_ptr_equal(obj, (void *)~seen.obj);
    assert_true(gc_block_is_live((void *)~seen.held));
    seen.n_finalized++;
}

static void clean(void *arg)
{
    (void)arg;
    seen.n_cleaned++;
}

/* obj -> integer, which says where held is. What the block of an ordered finalizer reaches is marked before it is due anyway. */
static NOINLINE void make(void)
{
    const uint64_t mask = (UINT64_C(1) << DIGIT_BITS) - 1;
    void **obj = gc_block(FLAVOR_GC, 64);
    uint64_t *integer = gc_block(FLAVOR_MALLOC, INTEGER_SIZE);
    void *held = gc_block(FLAVOR_GC, 64);
    const struct finalizer_spec spec = {finalize, NULL, FINALIZER_UNORDERED};
    seen.obj = ~(uintptr_t)obj;
    seen.held = ~(uintptr_t)held;
    obj[0] = integer;
    integer[2] = 2; /* digits */
    integer[3] = ((uintptr_t)held & mask) | (uint64_t)((uintptr_t)held >> DIGIT_BITS) << 32;
    assert_int_equal(finalizer_exchange(obj, &spec, NULL), 0);
    assert_int_equal(finalizer_add_cleanup(held, clean, NULL), 0);
}

static NOINLINE void clear_stack(void)
{
    volatile char dead[32 * 1024];
    for (size_t i = 0; i < sizeof(dead); i++)
        dead[i] = 0;
}

/* Cycles, until it is done: a stale word may hold a block for one. */
static void collect_until(const size_t *n)
{
    for (int i = 0; i < 20 && *n == 0; i++) {
        clear_stack();
        assert_int_equal(gc_cycle(CYCLE_EXPLICIT), SKIP_NONE);
        assert_true(finalizer_queued() <= 1); /* not both at once */
        finalizer_run_queued();
    }
    assert_int_equal(*n, 1);
}

static void test_held_by_an_integer(void **state)
{
    (void)state;
    if (getenv("GCM_EMULATED") != NULL)
        skip(); /* every cycle is skipped there */
    roots_expect(DISGUISE_DIGITS);
    make();
    collect_until(&seen.n_finalized);
    collect_until(&seen.n_cleaned);
}

static int setup(void **state)
{
    const struct pacer_config pacer = {.percent = 100, .floor_bytes = 64 << 20, .budget_percent = 10};
    const struct cycle_config config = {.mode = MODE_RECLAIM};
    (void)state;
    gc_block_heap_setup();
    pacer_init(&pacer);
    cycle_init(&config);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_held_by_an_integer)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
