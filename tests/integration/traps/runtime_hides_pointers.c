/* In a program of a runtime that is known to hide pointers blocks of malloc stay that are held only by an address before
 * their start, as in SWI-Prolog's arrays, or by an address times eight, a number in Chez Scheme. */
#include "trap.h"
int PL_initialise(int argc, char **argv);
enum { N = 64 };
static uintptr_t held[2 * N];

int main(int argc, char **argv)
{
    TEST_CHECK(PL_initialise(argc, argv));
    for (int i = 0; i < N; i++) {
        held[2 * i] = (uintptr_t)trap_reveal(trap_new()) - TRAP_SIZE;
        held[2 * i + 1] = (uintptr_t)trap_reveal(trap_new()) << 3;
    }
    trap_clear_stack();
    trap_verify_kept();
    return 0;
}
