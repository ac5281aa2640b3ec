/* A program that has nearly all the mappings that a process may have: the heap needs few, malloc works or says ENOMEM,
 * collections run or are skipped, and nothing reachable goes. */
#include <sys/mman.h>
#include "trap.h"

enum { MAPPINGS = 60000 };

static void allocate_all_sizes(void)
{
    for (size_t size = 16; size <= 64 << 20; size *= 2) {
        unsigned char *block = malloc(size);
        if (block == NULL) {
            TEST_CHECK(errno == ENOMEM);
            continue;
        }
        block[0] = block[size - 1] = 1;
        unsigned char *grown = realloc(block, size + size / 2);
        TEST_CHECK(grown != NULL || errno == ENOMEM);
        TEST_CHECK((grown != NULL ? grown : block)[size - 1] == 1);
        free(grown != NULL ? grown : block);
    }
}

int main(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    static void *volatile root;
    root = trap_reveal(trap_new());
    char *pages = mmap(NULL, MAPPINGS * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        TEST_SKIP("no room for %d pages", MAPPINGS);
    for (size_t i = 0; i < MAPPINGS; i += 2)
        if (mprotect(pages + i * page, page, PROT_READ) != 0)
            TEST_SKIP("mprotect: %s", strerror(errno)); /* a lower limit than the usual 65530 */
    for (int round = 0; round < 3; round++) {
        allocate_all_sizes();
        trap_verify();
    }
    TEST_CHECK(root != NULL);
    return 0;
}
