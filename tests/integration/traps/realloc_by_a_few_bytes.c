/* A block that grows by a few bytes at a time is copied at some of its sizes only, and the room that it gets ahead holds none of the bytes
 * that lay there before: an old pointer among them would keep garbage, for the program writes there late or never. */
#include <malloc.h>
#include "trap.h"

enum { FROM_BYTES = 100, TO_BYTES = 24000, STEP_BYTES = 7, MOVES_MAX = 40, OLD_BYTE = 0x77 };

/* What the block will come to lie in was full before. */
static void fill(void)
{
    for (size_t size_bytes = FROM_BYTES; size_bytes < TO_BYTES + TO_BYTES / 2; size_bytes += size_bytes / 16) {
        char *old = malloc(size_bytes), *beside = malloc(size_bytes);
        memset(old, OLD_BYTE, size_bytes);
        memset(beside, OLD_BYTE, size_bytes);
        free(old);
        free(beside);
    }
}

static void check_clear(const unsigned char *block, size_t size_bytes)
{
    for (size_t i = size_bytes; i < malloc_usable_size((void *)block); i++)
        if (block[i] != 0)
            TEST_FAIL("a block of %zu bytes has an old one at %zu", size_bytes, i);
}

int main(void)
{
    uintptr_t before = 0;
    unsigned n_moves = 0;
    if (trap_is_peer())
        return 0;
    fill();
    unsigned char *block = malloc(FROM_BYTES);
    for (size_t size_bytes = FROM_BYTES; size_bytes < TO_BYTES; size_bytes += STEP_BYTES) {
        block = realloc(block, size_bytes);
        TEST_CHECK(block != NULL);
        if ((uintptr_t)block != before && size_bytes > FROM_BYTES) {
            n_moves++;
            check_clear(block, size_bytes);
        }
        memset(block, 1, size_bytes);
        before = (uintptr_t)block;
    }
    free(block);
    if (n_moves > MOVES_MAX)
        TEST_FAIL("%u moves", n_moves);
    return 0;
}
