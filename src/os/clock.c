/* Three clocks. clock_gettime of libc goes to the vDSO: it neither locks nor allocates nor touches errno. The strict
 * sandbox makes the processor's own clock fault, so behind any filter only the kernel's last tick is read. */
#include "os/os.h"

#include <time.h>

static uint64_t clock_read_ns(clockid_t id)
{
    struct timespec ts = {0, 0};

    clock_gettime(os_seccomp_is_on() ? CLOCK_MONOTONIC_COARSE : id, &ts);
    return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

uint64_t os_clock_ns(void)
{
    return clock_read_ns(CLOCK_MONOTONIC);
}

uint64_t os_clock_coarse_ns(void)
{
    return clock_read_ns(CLOCK_MONOTONIC_COARSE);
}

/* The one clock that the vDSO does not have: a filter may kill for the call. */
uint64_t os_clock_cpu_ns(void)
{
    if (os_seccomp_is_on())
        return 0;
    return clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
}
