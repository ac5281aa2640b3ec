/* Which processors this process may run on, and how a helper keeps off the one that somebody else works on. */
#include "os/os.h"

#include <sys/syscall.h>

enum { CPUS_MASK_WORDS = 128 }; /* 8192 processors */

unsigned os_n_cpus(void)
{
    uint64_t mask[CPUS_MASK_WORDS];
    long n_bytes = os_syscall(SYS_sched_getaffinity, 0, sizeof(mask), (long)mask, 0, 0, 0);
    unsigned n = 0;

    for (long i = 0; i < n_bytes / (long)sizeof(mask[0]); i++)
        n += (unsigned)__builtin_popcountll(mask[i]);
    return n == 0 ? 1 : n;
}

int os_cpu(void)
{
    unsigned cpu;

    return os_syscall(SYS_getcpu, (long)&cpu, 0, 0, 0, 0, 0) == 0 ? (int)cpu : -1;
}

bool os_thread_keep_off(pid_t tid, pid_t like, int cpu)
{
    uint64_t mask[CPUS_MASK_WORDS], left = 0;
    long n_bytes = os_syscall(SYS_sched_getaffinity, like, sizeof(mask), (long)mask, 0, 0, 0);

    if (cpu < 0 || cpu >= n_bytes * 8)
        return false;
    mask[cpu / 64] &= ~(UINT64_C(1) << cpu % 64);
    for (long i = 0; i < n_bytes / (long)sizeof(mask[0]); i++)
        left |= mask[i];
    return left != 0 && os_syscall(SYS_sched_setaffinity, tid, n_bytes, (long)mask, 0, 0, 0) == 0;
}
