/* Clocks and random bits. */
#include "os_harness.h"

static void clocks_go_forward(void **state)
{
    uint64_t mono = os_clock_ns(), coarse = os_clock_coarse_ns(), cpu = os_clock_cpu_ns();

    (void)state;
    assert_true(coarse <= mono && mono - coarse < 1000000000u);
    while (os_clock_ns() - mono < 30000000) /* several ticks */
        sched_yield();
    assert_true(os_clock_coarse_ns() > coarse);
    assert_true(os_clock_cpu_ns() > cpu);
}

static void random_bits_differ(void)
{
    uint64_t seen[64], all_or = 0, all_and = UINT64_MAX;

    for (int i = 0; i < 64; i++) {
        seen[i] = os_entropy();
        all_or |= seen[i];
        all_and &= seen[i];
        for (int j = 0; j < i; j++)
            assert_true(seen[i] != seen[j]);
    }
    assert_true(all_or == UINT64_MAX && all_and == 0); /* each bit was seen both ways: wrong once in 2^57 */
}

static void random_bits_by_the_kernel(void **state)
{
    (void)state;
    random_bits_differ();
}

#if GCM_CHECKING
static void random_bits_without_the_kernel(void **state)
{
    (void)state;
    errno = 4711;
    os_fault_set(SYS_getrandom, 0, UINT32_MAX, EAGAIN);
    random_bits_differ();
    os_fault_set(FAULT_OFF, 0, 0, 0);
    assert_int_equal(errno, 4711);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_go_forward),
        cmocka_unit_test(random_bits_by_the_kernel),
#if GCM_CHECKING
        cmocka_unit_test(random_bits_without_the_kernel),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
