/* Where somebody watches every access of the program itself, nothing is collected: a sanitizer in the process though malloc is ours
 * (STANDS_ASIDE_SANITIZER), or valgrind around it. */
#include "gcmalloc.h"
#include "trap.h"
extern __typeof__(gc_get_stats) gc_get_stats __attribute__((weak));

#ifdef STANDS_ASIDE_SANITIZER
void __msan_init(void);
__attribute__((visibility("default"))) void __msan_init(void)
{
}
#endif

int main(void)
{
    struct gc_stats stats = {0};
    if (gc_get_stats == NULL)
        TEST_FAIL("the library is not loaded");
    for (int i = 0; i < 100000; i++) {
        char *volatile lost = malloc(1000);
        lost[0] = 1;
    }
    TEST_CHECK(trap_gc(TRAP_GC_FULL) != 0);
    gc_get_stats(&stats, sizeof(stats));
    if (stats.n_cycles != 0)
        TEST_FAIL("%llu collections", (unsigned long long)stats.n_cycles);
    return 0;
}
