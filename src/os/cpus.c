/* How many processors this process may run on. */
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
