/* Sampling: every block where the rate is 1, the right share of bytes otherwise, also of blocks that go round in one window,
 * and nothing at all while it is off. */
#include "heap_harness.h"

#include <math.h>

#include "heap/sample.h"

static struct tcache *cache(void)
{
    os_critical_enter();
    struct tcache *tc = tcache_get();
    os_critical_leave();
    assert_non_null(tc);
    return tc;
}

static void set_rate(uint64_t rate)
{
    sample_set_rate(rate);
    os_critical_enter();
    if (rate != 0)
        sample_veil_all(tcache_get());
    tcache_get()->sample_due = 0;
    os_critical_leave();
}

/* What a fast path would do, where it can. */
static void *fast_alloc(unsigned class_no, bool *was_fast)
{
    struct tcache_bin *bin = &cache()->malloc_set.bins[class_no];
    uint64_t bits = *bin->word;

    *was_fast = bits != 0;
    if (bits == 0)
        return harness_alloc(sizeclass_size(class_no));
    *bin->word = bits & (bits - 1);
    return (void *)(bin->base + (uintptr_t)bits_ctz64(bits) * bin->size);
}

static void every_block(void **state)
{
    void *blocks[500];
    bool was_fast;

    (void)state;
    blocks[0] = harness_alloc(48); /* a window is open */
    set_rate(1);
    for (int i = 1; i < 500; i++) {
        blocks[i] = fast_alloc(sizeclass_of(48), &was_fast);
        assert_false(was_fast);
        assert_int_equal(sample_take_due(cache()), 1);
        assert_int_equal(sample_take_due(cache()), 0);
    }
    harness_check();
    set_rate(0);
    for (int i = 0; i < 500; i++)
        harness_free(blocks[i]);
    /* Off: at most the first goes the slow way, and none is a sample. */
    for (int i = 0; i < 40; i++) {
        blocks[i] = fast_alloc(sizeclass_of(48), &was_fast);
        assert_true(i == 0 || was_fast);
        assert_int_equal(sample_take_due(cache()), 0);
    }
    for (int i = 0; i < 40; i++)
        harness_free(blocks[i]);
    harness_check();
}

struct sampled {
    uint64_t n_samples, n_slow, n;
};

/* Allocates n blocks, keeping n_kept of them at a time. */
static struct sampled run(unsigned class_no, uint64_t n, unsigned n_kept)
{
    void *kept[4096] = {NULL};
    struct sampled result = {.n = n};
    bool was_fast;

    for (uint64_t i = 0; i < n; i++) {
        void **slot = &kept[i % n_kept];
        if (*slot != NULL)
            harness_free(*slot);
        *slot = fast_alloc(class_no, &was_fast);
        result.n_slow += !was_fast;
        result.n_samples += was_fast ? 0 : sample_take_due(cache());
    }
    for (unsigned i = 0; i < n_kept; i++)
        if (kept[i] != NULL)
            harness_free(kept[i]);
    harness_check();
    return result;
}

/* Each block is a sample with probability 1 - e^(-size/rate), so their number is known within a few square roots: six, and
 * wider where one tick stands for many blocks that went round, because then samples come in lumps. */
static void assert_share(struct sampled r, unsigned class_no, uint64_t rate)
{
    double size = (double)sizeclass_size(class_no), chance = 1 - exp(-size / (double)rate);
    double expected = (double)r.n * chance, lump = 1 + SAMPLE_TICK_FREES * chance;

    if (fabs((double)r.n_samples - expected) > 6 * sqrt(expected * lump) + 0.05 * expected)
        fail_msg("size %.0f rate %llu: %llu samples, %.0f expected", size, (unsigned long long)rate,
                 (unsigned long long)r.n_samples, expected);
}

static void share_of_bytes(void **state)
{
    static const uint64_t rates[] = {2000, 50000, 512 * 1024};
    static const size_t sizes[] = {16, 112, 1000, 8000};

    (void)state;
    cache()->sample_random = unit_seed() | 1;
    for (unsigned r = 0; r < 3; r++)
        for (unsigned i = 0; i < 4; i++) {
            unsigned class_no = sizeclass_of(sizes[i]);
            set_rate(rates[r]);
            /* So many at once that windows are used up, not gone round in. */
            assert_share(run(class_no, 400 * rates[r] / sizes[i] + 100000, 3000), class_no, rates[r]);
        }
    set_rate(0);
}

/* malloc and free in turns never leave their window: only ticks see them. */
static void blocks_that_go_round(void **state)
{
    static const uint64_t rates[] = {20000, 512 * 1024};
    static const size_t sizes[] = {16, 112, 400};

    (void)state;
    cache()->sample_random = unit_seed() | 1;
    for (unsigned r = 0; r < 2; r++)
        for (unsigned i = 0; i < 3; i++) {
            unsigned class_no = sizeclass_of(sizes[i]);
            set_rate(rates[r]);
            assert_share(run(class_no, 2000 * rates[r] / sizes[i], 1), class_no, rates[r]);
        }
    set_rate(0);
}

/* Samples are rare, so nearly all allocations stay fast. */
static void others_stay_fast(void **state)
{
    unsigned class_no = sizeclass_of(64);

    (void)state;
    set_rate(512 * 1024);
    struct sampled s = run(class_no, 4000000, 1000);
    set_rate(0);
    assert_true(s.n_slow < s.n / 20);
}

static void large_blocks(void **state)
{
    unsigned n = 0;

    (void)state;
    set_rate(1);
    assert_int_equal(sample_large(cache(), 100000), 1);
    set_rate(1000000);
    for (int i = 0; i < 20000; i++)
        n += sample_large(cache(), 100000);
    assert_true(n > 1500 && n < 2300); /* 20000 (1 - e^-0.1) = 1903 */
    assert_int_equal(sample_large(cache(), 1 << 30), 1); /* one sample, however large */
    set_rate(0);
    assert_int_equal(sample_large(cache(), 1 << 30), 0);
}

static void flags(void **state)
{
    void *p = harness_alloc(64), *q = harness_alloc(100000);

    (void)state;
    assert_false(sample_is_flagged((uintptr_t)p));
    assert_false(sample_is_flagged((uintptr_t)&p));
    os_critical_enter();
    sample_flag_set((uintptr_t)p);
    sample_flag_set((uintptr_t)q);
    os_critical_leave();
    assert_true(sample_is_flagged((uintptr_t)p));
    assert_true(sample_is_flagged((uintptr_t)q));
    assert_null(harness_span(p)->fast_owner); /* every free takes the slow path */
    harness_free(p);
    harness_free(q);
    harness_check();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_block),      cmocka_unit_test(share_of_bytes), cmocka_unit_test(blocks_that_go_round),
        cmocka_unit_test(others_stay_fast), cmocka_unit_test(large_blocks),   cmocka_unit_test(flags),
    };
    return cmocka_run_group_tests(tests, harness_setup, NULL);
}
