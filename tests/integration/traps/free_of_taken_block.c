/* A program that hid its pointers, lost blocks to the collector and then frees, resizes and measures them: it
 * is wrong, but in a way that we caused, so none of it ends the process. */
#include <malloc.h>
#include "trap.h"

int main(void)
{
    enum { N = 300 };
    static uintptr_t hidden[N];
    for (int i = 0; i < N; i++) {
        hidden[i] = trap_new_sized(i % 3 == 0 ? 100 : i % 3 == 1 ? 3000 : 200000);
        trap_forget(hidden[i]);
    }
    TEST_CHECK(trap_collect());
    /* Nothing is allocated in between: a slot that was handed out again belongs to its new block. */
    for (int i = 1; i < N; i++)
        TEST_CHECK(malloc_usable_size(trap_reveal(hidden[i])) > 0);
    for (int i = 1; i < N; i++)
        free(trap_reveal(hidden[i]));
    free(realloc(trap_reveal(hidden[0]), 500));
    free(malloc(100));
    return 0;
}
