/* Addresses into the middle of blocks of every size, and of their last byte, keep them: in data, in a block, on a stack. */
#include "trap.h"
enum { N = 12 };
static char *volatile in_data[N], *volatile *in_block;

static uintptr_t inside(uintptr_t hidden, size_t size, int which)
{
    return (uintptr_t)trap_reveal(hidden) + (which == 0 ? 1 : which == 1 ? size / 2 : size - 1);
}

static __attribute__((noinline)) void store(char *volatile *place, int which)
{
    static const size_t sizes[N] = {17, 40, 100, TRAP_SIZE, 500, 1500, 5000, 20000, 40000, 70000, 200000, 3000000};
    for (int i = 0; i < N; i++)
        place[i] = (char *)inside(trap_new_sized(sizes[i]), sizes[i], which);
}

int main(void)
{
    char *volatile on_stack[N];
    in_block = malloc(N * sizeof(*in_block));
    store(in_data, 0);
    store(in_block, 1);
    store(on_stack, 2);
    trap_clear_stack();
    trap_round(TRAP_SIZE, false);
    trap_round(40000, false);
    TEST_CHECK(on_stack[0] != NULL);
    return 0;
}
