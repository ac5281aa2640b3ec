/* A block that a weak reference points to stays in its place as long as it is large enough: asked to be as long as it is, it is used to the last
 * byte, and the address of its end, where the next block begins, keeps it. (Without, blocks of malloc are a byte longer than asked.) */
#include "trap.h"

struct gc_weak *gc_weak_new(void *block) __attribute__((weak));

enum { N = 200, BLOCK_BYTES = 64 };

static uintptr_t hidden[N];
static struct gc_weak *weak[N];

static __attribute__((noinline)) void *end_of_one(int i)
{
    char *block = malloc(BLOCK_BYTES - 1);
    if (i % 2 == 0) { /* every second one, or each end would keep the next block by its start */
        TEST_CHECK((weak[i] = gc_weak_new(block)) != NULL);
        TEST_CHECK(realloc(block, BLOCK_BYTES) == block);
    }
    memset(block, i, BLOCK_BYTES - 1);
    hidden[i] = ~(uintptr_t)block;
    return block + BLOCK_BYTES;
}

int main(void)
{
    void *volatile ends[N];
    if (trap_is_peer())
        return 0;
    for (int i = 0; i < N; i++) {
        void *end = end_of_one(i);
        ends[i] = i % 2 == 0 ? end : NULL;
    }
    TEST_CHECK(trap_collect() || trap_is_emulated());
    trap_clear_stack();
    for (int i = 0; i < N; i += 2) {
        char *block = trap_reveal(hidden[i]);
        if (trap_find(block) != block)
            TEST_FAIL("block %d was taken", i);
        TEST_CHECK(ends[i] == block + BLOCK_BYTES);
    }
    return 0;
}
