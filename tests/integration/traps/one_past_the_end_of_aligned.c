/* Blocks with more than the ordinary alignment are not longer than asked for, so a loop that runs backwards keeps an address at
 * which the next block begins, which is in use. */
#include "trap.h"

enum { N = 200, BLOCK_BYTES = 64 };

static uintptr_t hidden[N];

static __attribute__((noinline)) void *end_of_one(int i)
{
    char *block = aligned_alloc(BLOCK_BYTES, BLOCK_BYTES);
    memset(block, i, BLOCK_BYTES);
    hidden[i] = ~(uintptr_t)block;
    return block + BLOCK_BYTES;
}

int main(void)
{
    void *volatile ends[N];
    for (int i = 0; i < N; i++) {
        void *end = end_of_one(i);
        ends[i] = i % 2 == 0 ? end : NULL; /* every second one, or each end would keep the next block by its start */
    }
    TEST_CHECK(trap_collect() || trap_is_emulated());
    trap_clear_stack();
    for (int i = 0; i < N; i += 2) {
        unsigned char *block = trap_reveal(hidden[i]);
        TEST_CHECK(ends[i] == block + BLOCK_BYTES && (trap_is_peer() || trap_find(block) == block));
        for (int b = 0; b < BLOCK_BYTES; b++)
            TEST_CHECK(block[b] == i);
    }
    return 0;
}
