/* Programs that place their mappings at random addresses (V8 does, over 46 bits) come to lie between ours:
 * such pages are roots like any other. Tried at many distances from a block, also right behind the heap's
 * end. */
#include <sys/mman.h>
#include "trap.h"
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
static int n_mapped;

static __attribute__((noinline)) void store(uintptr_t near, long distance_mb)
{
    uintptr_t at = (near & ~(uintptr_t)0xfffff) + ((uintptr_t)distance_mb << 20);
    uintptr_t *map = mmap((void *)at, 1 << 20, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (map == MAP_FAILED)
        return;
    map[1000] = (uintptr_t)trap_reveal(trap_new());
    n_mapped++;
}

int main(void)
{
    uintptr_t near = ~trap_new();
    trap_forget(~near);
    free((void *)near);
    for (long mb = 16; mb < 6l << 20; mb = mb * 3 / 2) {
        store(near, mb);
        store(near, -mb);
    }
    trap_clear_stack();
    TEST_CHECK(n_mapped > 20);
    trap_verify();
    for (int i = 0; i < 300; i++) /* the heap grows up to the foreign mappings and around them */
        memset(malloc(1 << 20), 0xee, 1 << 20);
    trap_verify();
    return 0;
}
