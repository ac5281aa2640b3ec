/* Sites: each stack once, whoever finds it first, and figures that add up. */
#include "heap_harness.h"

#include "heap/site.h"

enum { N_STACKS = 40000, N_THREADS = 6, N_LOOKS = 60000 };

static struct site *find(uint64_t key)
{
    uintptr_t pcs[SITE_PCS_MAX];
    uint32_t n = (uint32_t)(key % SITE_PCS_MAX) + 1;

    for (uint32_t i = 0; i < n; i++)
        pcs[i] = 0x401000 + (key >> (i % 8)) * 16 + i;
    os_critical_enter();
    struct site *s = site_of_stack(pcs, n);
    os_critical_leave();
    return s;
}

static size_t count(void)
{
    size_t n = 0;

    for (const struct site *s = site_newest(); s != NULL; s = s->older)
        n++;
    return n;
}

static void each_stack_once(void **state)
{
    static struct site *found[N_STACKS];

    (void)state;
    for (uint64_t i = 0; i < N_STACKS; i++)
        assert_non_null(found[i] = find(i));
    for (uint64_t i = 0; i < N_STACKS; i++) {
        assert_ptr_equal(find(i), found[i]);
        assert_int_equal(found[i]->n_pcs, i % SITE_PCS_MAX + 1);
        assert_int_equal(found[i]->pcs[0], 0x401000 + i * 16);
    }
    assert_int_equal(count(), N_STACKS);
}

static void *look(void *arg)
{
    uint64_t seed = *(uint64_t *)arg;

    for (int i = 0; i < N_LOOKS; i++)
        site_add(find(1000000 + unit_below(&seed, 500)), SITE_ALLOCATED, 1, 3);
    return NULL;
}

static void threads_agree(void **state)
{
    pthread_t threads[N_THREADS];
    uint64_t seeds[N_THREADS], n = 0, bytes = 0;
    size_t before = count();

    (void)state;
    for (int i = 0; i < N_THREADS; i++) {
        seeds[i] = (uint64_t)i + 1;
        assert_int_equal(pthread_create(&threads[i], NULL, look, &seeds[i]), 0);
    }
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(count() - before, 500);
    for (uint64_t i = 0; i < 500; i++) {
        struct site_count c = site_get(find(1000000 + i), SITE_ALLOCATED);
        n += c.n;
        bytes += c.bytes;
    }
    assert_int_equal(n, N_THREADS * N_LOOKS);
    assert_int_equal(bytes, 3 * N_THREADS * N_LOOKS);
}

static void figures(void **state)
{
    struct site *s = find(77);

    (void)state;
    site_add(s, SITE_LEAKED, 3, 300);
    site_add(s, SITE_LEAKED, -UINT64_C(1), -UINT64_C(100));
    assert_int_equal(site_get(s, SITE_LEAKED).n, 2);
    assert_int_equal(site_get(s, SITE_LEAKED).bytes, 200);
    assert_int_equal(site_get(s, SITE_FREED).n, 0);
    site_reset(s, SITE_LEAKED);
    assert_int_equal(site_get(s, SITE_LEAKED).bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_stack_once),
        cmocka_unit_test(threads_agree),
        cmocka_unit_test(figures),
    };
    return cmocka_run_group_tests(tests, harness_setup, NULL);
}
