/* The marker's stack: both forms of ranges, order, and what happens when it is full. */
#include "gc/markstack.h"

#include "../unit_seed.h"
#include "gc_blocks.h"

static struct markstack stack, other;

static void begin(size_t n_entries)
{
    os_critical_enter();
    n_entries = markstack_reserve(n_entries, 2);
    assert_true(n_entries >= MARKSTACK_MIN_ENTRIES);
    markstack_place(&stack, 0, n_entries);
    markstack_place(&other, 1, n_entries);
    os_critical_leave();
}

static void expect(uintptr_t lo, size_t n_bytes, bool is_sparse)
{
    struct mark_range r = markstack_pop(&stack);
    assert_int_equal(r.lo, lo);
    assert_int_equal(r.n_bytes, n_bytes);
    assert_int_equal(r.is_sparse, is_sparse);
}

static void test_forms_and_order(void **state)
{
    (void)state;
    const uintptr_t high = (UINT64_C(1) << 47) - 16;
    begin(1000);
    assert_true(markstack_is_empty(&stack));
    markstack_push_small(&stack, high, 16);
    markstack_push_small(&stack, 16, MARKSTACK_SMALL_MAX_BYTES);
    markstack_push_big(&stack, high, SIZE_MAX >> 1, true);
    markstack_push_big(&stack, 8, 8, false);
    expect(8, 8, false);
    expect(high, SIZE_MAX >> 1, true);
    expect(16, MARKSTACK_SMALL_MAX_BYTES, false);
    expect(high, 16, false);
    assert_true(markstack_is_empty(&stack));
    assert_false(stack.is_overflowed);
}

static void test_push_chooses_the_form(void **state)
{
    (void)state;
    begin(1000);
    const struct mark_range ranges[] = {
        {160, 4096, false}, {160, 4096, true}, {160, 24, false}, {160, MARKSTACK_SMALL_MAX_BYTES + 8, false}, {160, 1 << 30, false}};
    const size_t n_entries[] = {1, 2, 1, 2, 2};
    for (size_t i = 0; i < N_ELEMENTS(ranges); i++) {
        markstack_push(&stack, ranges[i]);
        assert_int_equal(stack.top - stack.base, n_entries[i]);
        expect(ranges[i].lo, ranges[i].n_bytes, ranges[i].is_sparse);
    }
}

static void test_full(void **state)
{
    (void)state;
    begin(1); /* at least the minimum */
    for (int i = 0; i < MARKSTACK_MIN_ENTRIES - 1; i++)
        markstack_push_small(&stack, 16, 16);
    assert_false(stack.is_overflowed);
    markstack_push_big(&stack, 16, 1 << 20, false); /* needs two */
    assert_true(stack.is_overflowed);
    stack.is_overflowed = false;
    markstack_push_small(&stack, 32, 16);
    assert_false(stack.is_overflowed);
    markstack_push_small(&stack, 48, 16);
    assert_true(stack.is_overflowed);
    expect(32, 16, false);
    markstack_push_small(&stack, 64, 16); /* popping one always makes room for one */
    expect(64, 16, false);
}

static void test_random_against_an_array(void **state)
{
    (void)state;
    enum { N = 4000 };
    static struct mark_range model[N];
    uint64_t seed = unit_seed();
    size_t n = 0;
    begin(2 * N);
    for (int i = 0; i < 200000; i++) {
        if (n > 0 && (n == N || unit_below(&seed, 2) == 0)) {
            n--;
            expect(model[n].lo, model[n].n_bytes, model[n].is_sparse);
            continue;
        }
        size_t most = unit_below(&seed, 4) == 0 ? (size_t)1 << 40 : (size_t)1 << 14;
        model[n] = (struct mark_range){test_random(&seed) >> 17 & ~UINT64_C(7),
                                       (unit_below(&seed, most) + 1) * 8, unit_below(&seed, 8) == 0};
        markstack_push(&stack, model[n++]);
        markstack_note_peak(&stack);
    }
    assert_false(stack.is_overflowed);
    assert_true(stack.peak >= stack.top && stack.peak <= stack.end);
    os_critical_enter();
    markstack_release((size_t)((char *)stack.peak - (char *)stack.floor));
    os_critical_leave();
}

static struct mark_range range_of(uint64_t *seed, uintptr_t lo)
{
    bool is_big = unit_below(seed, 3) == 0;
    return (struct mark_range){lo,
                               is_big ? 8 + 8 * unit_below(seed, 1 << 20) : 16 + 16 * unit_below(seed, 4000),
                               is_big && unit_below(seed, 2) == 0};
}

static void test_shift_against_a_ring(void **state)
{
    (void)state;
    enum { N = 1000 };
    static struct mark_range model[N];
    uint64_t seed = unit_seed();
    size_t n_pushed = 0, n_taken = 0, n_settled = 0;
    begin(4 * N);
    for (int i = 0; i < 200000; i++) {
        size_t n = n_pushed - n_taken;
        if (n > 0 && (n == N || unit_below(&seed, 2) == 0)) {
            bool is_oldest = unit_below(&seed, 3) != 0;
            size_t at = is_oldest ? n_taken++ : --n_pushed;
            struct mark_range r = is_oldest ? markstack_shift(&stack) : markstack_pop(&stack);
            assert_int_equal(r.lo, model[at % N].lo);
            assert_int_equal(r.n_bytes, model[at % N].n_bytes);
            assert_int_equal(r.is_sparse, model[at % N].is_sparse);
            continue;
        }
        model[n_pushed % N] = range_of(&seed, 16 * (1 + unit_below(&seed, 1 << 20)));
        markstack_push(&stack, model[n_pushed++ % N]);
        const uint64_t *base = stack.base;
        markstack_settle(&stack);
        n_settled += stack.base != base;
    }
    assert_false(stack.is_overflowed);
    assert_true(n_settled > 0);
}

/* ---- sharing ---- */

enum { N_SHARED_RANGES = 3000, RANGE_NO_SHIFT = 24 };
static struct shared_range {
    struct mark_range r;
    uintptr_t lo, hi; /* of what came out */
    size_t n_bytes;
    unsigned n_pieces;
} shared_ranges[N_SHARED_RANGES];

static void shared_range_came_out(struct mark_range piece)
{
    size_t i = (piece.lo >> RANGE_NO_SHIFT) - 1;
    assert_true(i < N_SHARED_RANGES);
    struct shared_range *s = &shared_ranges[i];
    assert_int_equal(piece.is_sparse, s->r.is_sparse);
    s->lo = s->n_pieces == 0 || piece.lo < s->lo ? piece.lo : s->lo;
    s->hi = s->n_pieces == 0 || piece.lo + piece.n_bytes > s->hi ? piece.lo + piece.n_bytes : s->hi;
    s->n_bytes += piece.n_bytes;
    s->n_pieces++;
}

/* All of it, once, but for what pieces share; only long ranges are divided. */
static void shared_range_is_complete(const struct shared_range *s)
{
    assert_true(s->n_pieces == 1 || s->r.n_bytes >= MARKSTACK_LONG_BYTES);
    assert_int_equal(s->lo, s->r.lo);
    assert_int_equal(s->hi, s->r.lo + s->r.n_bytes);
    assert_int_equal(s->n_bytes, s->r.n_bytes + (s->n_pieces - 1) * MARKSTACK_OVERLAP_BYTES);
}

/* Half of the oldest, where that is long; else half of the stack at most. */
static size_t shared_give(uint64_t *out, size_t max)
{
    bool is_long = markstack_has_long(&stack) && max >= 2;
    size_t n_entries = (size_t)(stack.top - stack.base), n = markstack_give(&stack, out, max);
    assert_int_equal((size_t)(stack.top - stack.base), is_long ? n_entries : n_entries - n);
    assert_true(is_long ? n == 1 || n == 2 : n <= n_entries / 2);
    return n;
}

/* Whatever is given, taken and popped, each range comes out once and whole. */
static void test_give_and_take(void **state)
{
    (void)state;
    static uint64_t shared[4 * N_SHARED_RANGES];
    uint64_t seed = unit_seed();
    unsigned n_divided = 0;
    for (int round = 0; round < 200; round++) {
        size_t n_shared = 0;
        begin(2 * N_SHARED_RANGES);
        for (size_t i = 0; i < N_SHARED_RANGES; i++) {
            shared_ranges[i] = (struct shared_range){.r = range_of(&seed, (i + 1) << RANGE_NO_SHIFT)};
            markstack_push(&stack, shared_ranges[i].r);
        }
        for (uint64_t n = unit_below(&seed, 4) + 1; n > 0; n--)
            n_shared += shared_give(shared + n_shared, 1 + unit_below(&seed, 2 * N_SHARED_RANGES / n));
        for (struct markstack *s = &stack;;) {
            while (!markstack_is_empty(s))
                shared_range_came_out(markstack_pop(s));
            if (n_shared == 0)
                break;
            s = &other;
            n_shared = markstack_take(s, shared, n_shared, 2 + unit_below(&seed, 600));
        }
        for (size_t i = 0; i < N_SHARED_RANGES; i++) {
            shared_range_is_complete(&shared_ranges[i]);
            n_divided += shared_ranges[i].n_pieces > 1;
        }
    }
    assert_true(n_divided > 0);
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
        cmocka_unit_test(test_forms_and_order),
        cmocka_unit_test(test_push_chooses_the_form),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_random_against_an_array),
        cmocka_unit_test(test_shift_against_a_ring),
        cmocka_unit_test(test_give_and_take),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
