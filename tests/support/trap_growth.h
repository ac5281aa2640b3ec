/* For traps under probation: one cycle, as growth starts it; an explicit collection looks twice there. Run under budget=100: the
 * use of gc_malloc and that leave no wait after cycles that recover little, which on a busy machine takes long. */
#ifndef TESTS_SUPPORT_TRAP_GROWTH_H
#define TESTS_SUPPORT_TRAP_GROWTH_H

#include "gcmalloc.h"
#include "trap.h"
extern __typeof__(gc_get_stats) gc_get_stats __attribute__((weak));
extern __typeof__(gc_malloc) gc_malloc __attribute__((weak));
extern __typeof__(gc_inhibit) gc_inhibit __attribute__((weak));
extern __typeof__(gc_uninhibit) gc_uninhibit __attribute__((weak));

/* Exactly one. pre: inhibited, and so it is afterwards */
static __attribute__((noinline, unused)) void trap_collect_by_growth(void)
{
    struct gc_stats before, after;
    trap_clear_stack();
    gc_get_stats(&before, sizeof(before));
    gc_uninhibit();
    gc_malloc(1, 0);
    for (int i = 0; i < 300000; i++) {
        memset(malloc(3000), 0, 3000);
        gc_get_stats(&after, sizeof(after));
        if (after.n_cycles != before.n_cycles) {
            gc_inhibit();
            return;
        }
    }
    TEST_FAIL("no cycle was started by growth");
}

#endif
