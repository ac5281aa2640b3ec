/* A shared map of a memfd, one private map of it, and a private map of an ordinary file, written to. */
#include <sys/mman.h>
#include "trap.h"
static uintptr_t *volatile maps[3];

static __attribute__((noinline)) void store(uintptr_t *map)
{
    map[77] = (uintptr_t)trap_reveal(trap_new());
}

int main(void)
{
    int memfd = memfd_create("trap", MFD_CLOEXEC), file = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    TEST_CHECK(memfd >= 0 && ftruncate(memfd, 65536) == 0);
    maps[0] = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
    maps[1] = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE, memfd, 0);
    TEST_CHECK(maps[0] != MAP_FAILED && maps[1] != MAP_FAILED);
    store(maps[0]);
    store(maps[1]);
    if (file >= 0 && ftruncate(file, 65536) == 0) {
        maps[2] = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
        store(maps[2]);
    }
    trap_clear_stack();
    trap_verify();
    TEST_CHECK(madvise((void *)maps[0], 65536, MADV_DONTNEED) == 0);
    trap_verify();
    return 0;
}
