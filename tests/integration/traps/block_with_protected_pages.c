/* A program takes the permissions from pages of its own large block; other pages of it hold the only
 * references. */
#include <sys/mman.h>
#include "trap.h"
enum { BYTES = 1 << 20 };
static uintptr_t *volatile block;

static __attribute__((noinline)) void store(size_t page)
{
    block[page * 512 + 9] = (uintptr_t)trap_reveal(trap_new());
}

int main(void)
{
    block = aligned_alloc(4096, BYTES);
    memset((void *)block, 0, BYTES);
    store(0);
    store(10);
    store(20);
    store(255);
    TEST_CHECK(mprotect((char *)block + 10 * 4096, 5 * 4096, PROT_NONE) == 0);
    TEST_CHECK(mprotect((char *)block + 20 * 4096, 4096, PROT_READ) == 0);
    trap_clear_stack();
    trap_verify_kept();
    TEST_CHECK(mprotect((void *)block, BYTES, PROT_READ | PROT_WRITE) == 0);
    trap_verify();
    free((void *)block);
    return 0;
}
