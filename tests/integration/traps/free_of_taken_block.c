/* A program that hid its pointers, lost blocks to the collector and then frees, resizes and measures them: it is wrong,
 * but in a way that we caused, so none of it ends the process. */
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
    for (int i = 0; i < N; i++) {
        void *block = trap_reveal(hidden[i]);
        if (i % 5 == 0)
            TEST_CHECK(malloc_usable_size(block) > 0);
        else if (i % 5 == 1)
            free(realloc(block, 500));
        else
            free(block);
    }
    free(malloc(100));
    return 0;
}
