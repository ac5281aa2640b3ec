/* A reservation of 64 GiB with three pages of content, as sanitizers and virtual machines make them; and huge
 * pages. */
#include <sys/mman.h>
#include "trap.h"
static char *volatile map;

static __attribute__((noinline)) void store(size_t at)
{
    *(uintptr_t *)(map + at) = (uintptr_t)trap_reveal(trap_new());
}

int main(void)
{
    map = mmap(NULL, 64ul << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        TEST_SKIP("no address space");
    madvise(map + (40ul << 30), 8 << 20, MADV_HUGEPAGE);
    store(4096 * 7 + 8);
    store((40ul << 30) + (3 << 20));
    store((64ul << 30) - 8);
    trap_clear_stack();
    trap_verify();
    TEST_CHECK(test_proc_status("VmRSS") < 200 * 1024); /* what was never touched was not touched by us */
    return 0;
}
