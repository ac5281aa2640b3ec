/* Growing a large block moves its pages, and where the limit of address space was lowered below what is in use the kernel refuses
 * that only after it has unmapped the place where they should go: nothing is copied there, the block stays as it was, and the
 * allocator goes on without that place. */
#include <sys/resource.h>
#include "trap.h"

enum { SMALL = 24 << 20, LARGE = 48 << 20, ROOM = 96 << 20, N_AFTER = 200 };

static void set_limit(rlim_t bytes)
{
    struct rlimit limit;
    TEST_CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    TEST_CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

static void *blocks[N_AFTER];

int main(void)
{
    char *room = malloc(ROOM), *block = malloc(SMALL), *behind = malloc(SMALL), *grown;
    TEST_CHECK(room != NULL && block != NULL && behind != NULL);
    test_fill(block, SMALL, 1);
    test_fill(behind, SMALL, 2);
    free(room);
    set_limit(1 << 20);
    grown = realloc(block, LARGE);
    set_limit(RLIM_INFINITY);
    if (grown != NULL)
        block = grown;
    TEST_CHECK(test_is_filled(block, SMALL, 1));
    for (int i = 0; i < N_AFTER; i++) {
        blocks[i] = malloc(1 << 20);
        TEST_CHECK(blocks[i] != NULL);
        test_fill(blocks[i], 1 << 20, 3);
    }
    TEST_CHECK(trap_collect() || trap_is_peer() || trap_is_emulated());
    TEST_CHECK(test_is_filled(block, SMALL, 1) && test_is_filled(behind, SMALL, 2));
    for (int i = 0; i < N_AFTER; i++)
        TEST_CHECK(test_is_filled(blocks[i], 1 << 20, 3));
    block = realloc(block, LARGE);
    TEST_CHECK(block != NULL && test_is_filled(block, SMALL, 1));
    return 0;
}
