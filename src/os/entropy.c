/* Random bits for the place of our window; not for secrets.
 *
 * What    getrandom without waiting; else the kernel's gift to ld.so (AT_RANDOM),
 *         mixed with an address and the clock. Never fails, never repeats itself
 *         within a process in practice.
 */
#include "os/os.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#define ENTROPY_GRND_NONBLOCK 1

static uint64_t entropy_mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t entropy_fallback(void)
{
    static uint64_t n_calls;
    const void *at_random = (const void *)os_auxval(AT_RANDOM);
    uint64_t given[2] = {0, 0};

    if (at_random != NULL)
        memcpy(given, at_random, sizeof(given));
    given[0] ^= os_clock_ns() ^ (uintptr_t)&given;
    return entropy_mix(given[0] + entropy_mix(given[1] + __atomic_add_fetch(&n_calls, 1, __ATOMIC_RELAXED)));
}

uint64_t os_entropy(void)
{
    uint64_t bits;

    if (!os_seccomp_is_on() &&
        os_syscall(SYS_getrandom, (long)&bits, sizeof(bits), ENTROPY_GRND_NONBLOCK, 0, 0, 0) == sizeof(bits))
        return bits;
    return entropy_fallback();
}
