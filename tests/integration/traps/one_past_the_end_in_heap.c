/* A table stored as the address behind its first element, that element being all there is: the one reference,
 * in a block of the heap, is the address where the block ends. PHP keeps the argument lists of its functions
 * so (32 bytes, `list + 1`). */
#include "trap.h"
#include <malloc.h>
#define N 40
static char **volatile table;

static __attribute__((noinline)) void store(int i, size_t size)
{
    table[i] = (char *)trap_reveal(trap_new_sized(size)) + size;
}

int main(void)
{
    static const size_t sizes[] = {32, 48, 64, 128, 160, 256, 512, 1024};
    table = malloc(N * sizeof(*table));
    for (int i = 0; i < N; i++)
        store(i, sizes[i % 8]);
    trap_clear_stack();
    trap_verify();
    TEST_CHECK(table[N - 1] != NULL);
    return 0;
}
