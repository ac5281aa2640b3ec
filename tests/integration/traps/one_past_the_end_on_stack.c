/* A loop that runs backwards keeps only the address one past its block; the block is full to its last byte.
 */
#include "trap.h"
#include <malloc.h>

static __attribute__((noinline)) void *end_of(uintptr_t hidden)
{
    char *block = trap_reveal(hidden);
    return block + malloc_usable_size(block);
}

int main(void)
{
    enum { N = 50 };
    void *volatile ends[N];
    for (int i = 0; i < N; i++)
        ends[i] = end_of(trap_new());
    trap_clear_stack();
    trap_verify();
    for (int i = 0; i < N; i++)
        TEST_CHECK(ends[i] != NULL);
    return 0;
}
