/* In mode report nothing is taken and nothing is on probation, so the heap that growth is measured by is all that was
 * allocated: collections get rarer as it grows, under careful as under eager.
 * usage: probation_report, under GCMALLOC=mode=report,probation=careful,floor=1M,budget=100 */
#include "trap_growth.h"

int main(void)
{
    enum { SIZE = 3000, N = 30000, MOST = 30 }; /* 90 MB: the heap doubles from 1 MB less than 7 times */
    struct gc_stats stats;
    if (gc_get_stats == NULL)
        TEST_FAIL("the library is not loaded");
    for (int i = 0; i < N; i++)
        memset(malloc(SIZE), 1, SIZE);
    gc_get_stats(&stats, sizeof(stats));
    if (stats.n_cycles == 0 || stats.n_cycles > MOST)
        TEST_FAIL("%lu cycles", (unsigned long)stats.n_cycles);
    return 0;
}
