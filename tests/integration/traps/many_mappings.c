/* A program that has nearly all the mappings that a process may have, and then all: the heap needs few, malloc works or says
 * ENOMEM, blocks that cannot be moved are copied, collections run or are skipped, and nothing reachable goes. */
#include <sys/mman.h>
#include "trap.h"

enum { MAPPINGS = 60000, MORE = 8000, MOVED_BYTES = 4 << 20, N_MOVES = 8 };

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

/* Something lies behind each block, so that it has to move: by its pages, which takes mappings, or by a copy. */
static void move_large_blocks(void)
{
    for (uint32_t i = 0; i < N_MOVES; i++) {
        char *block = malloc(MOVED_BYTES), *behind = malloc(MOVED_BYTES);
        if (block == NULL || behind == NULL)
            TEST_FAIL("no memory for block %u", i);
        test_fill(block, MOVED_BYTES, i);
        char *moved = realloc(block, 2 * MOVED_BYTES);
        TEST_CHECK(moved != NULL && test_is_filled(moved, MOVED_BYTES, i));
        free(moved);
        free(behind);
    }
}

int main(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    static void *volatile root;
    root = trap_reveal(trap_new());
    char *pages = mmap(NULL, (MAPPINGS + MORE) * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        TEST_SKIP("no room for %d pages", MAPPINGS + MORE);
    for (size_t i = 0; i < MAPPINGS; i += 2)
        if (mprotect(pages + i * page, page, PROT_READ) != 0)
            TEST_SKIP("mprotect: %s", strerror(errno)); /* a lower limit than the usual 65530 */
    for (int round = 0; round < 3; round++) {
        allocate_all_sizes();
        move_large_blocks();
        trap_verify();
    }
    size_t i = MAPPINGS;
    while (i < MAPPINGS + MORE && mprotect(pages + i * page, page, PROT_READ) == 0)
        i += 2;
    if (i >= MAPPINGS + MORE)
        TEST_SKIP("the kernel allows more than %zu mappings", i);
    move_large_blocks();
    allocate_all_sizes();
    trap_verify_kept();
    TEST_CHECK(root != NULL);
    return 0;
}
