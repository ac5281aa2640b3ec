/* Pages hardened after pointers were stored: read-only, executable, and PROT_NONE (there the library may
 * decline). */
#include <sys/mman.h>
#include "trap.h"
static uintptr_t *volatile map;

static __attribute__((noinline)) void store(size_t page)
{
    map[page * 512 + 9] = (uintptr_t)trap_reveal(trap_new());
}

int main(void)
{
    map = mmap(NULL, 8 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(map != MAP_FAILED);
    store(1);
    store(3);
    TEST_CHECK(mprotect((char *)map + 1 * 4096, 4096, PROT_READ) == 0);
    TEST_CHECK(mprotect((char *)map + 3 * 4096, 4096, PROT_READ | PROT_EXEC) == 0);
    trap_clear_stack();
    trap_verify();
    store(5);
    TEST_CHECK(mprotect((char *)map + 5 * 4096, 4096, PROT_NONE) == 0);
    trap_clear_stack();
    trap_verify_kept();
    TEST_CHECK(mprotect((char *)map + 5 * 4096, 4096, PROT_READ | PROT_WRITE) == 0);
    trap_verify();
    return 0;
}
