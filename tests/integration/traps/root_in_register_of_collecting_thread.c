/* The thread that collects holds blocks in registers that a called function must keep, in all six at once, and nowhere else. */
#include "trap_asm.h"
#if TRAP_HAS_ASM
int main(void)
{
    uintptr_t hidden[TRAP_N_KEPT], kept[TRAP_N_KEPT];
    int result = ECANCELED;
    for (int i = 0; i < TRAP_N_KEPT; i++)
        kept[i] = hidden[i] = trap_new();
    trap_make_garbage(TRAP_SIZE);
    for (int i = 0; i < TRAP_TRIES && result == ECANCELED; i++) {
        trap_clear_stack();
        result = (int)trap_call_holding(kept, (void *)trap_gc, TRAP_GC_FULL, 0, 0, 0);
    }
    TEST_CHECK(result == 0 || trap_is_emulated());
    TEST_CHECK(memcmp(kept, hidden, sizeof(hidden)) == 0);
    unsigned n_reclaimed = trap_count_reclaimed();
    trap_overwrite(TRAP_SIZE);
    trap_check_targets();
    if (n_reclaimed < TRAP_GARBAGE * 9 / 10 && !trap_is_emulated())
        TEST_FAIL("only %u of %u garbage blocks were reclaimed", n_reclaimed, (unsigned)TRAP_GARBAGE);
    return 0;
}
#else
int main(void)
{
    TEST_SKIP("written for x86-64");
}
#endif
