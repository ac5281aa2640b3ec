/* A program with an allocator of its own on brk keeps a block of malloc there. */
#include "trap.h"
static uintptr_t *volatile memory;

static __attribute__((noinline)) void store(void)
{
    memory[3] = (uintptr_t)trap_reveal(trap_new());
    memory[5000] = (uintptr_t)trap_reveal(trap_new());
}

int main(void)
{
    memory = sbrk(1 << 20);
    TEST_CHECK(memory != (void *)-1);
    store();
    trap_clear_stack();
    trap_verify();
    return 0;
}
