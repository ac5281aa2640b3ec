/* malloc clears the end of a block, which the program did not ask for and never writes: an old pointer there would keep garbage, in
 * chains. So it is with each block, with one that comes from a slow path, too. */
#include <malloc.h>
#include "trap.h"

enum { N_BLOCKS = 20000, MAX_BYTES = 8 << 20, CLEARED = 16, JUNK = 0xa5 };

static unsigned char *blocks[N_BLOCKS];

static int blocks_of(size_t size)
{
    return size * N_BLOCKS <= MAX_BYTES ? N_BLOCKS : (int)(MAX_BYTES / size);
}

static void soil(size_t size)
{
    for (int i = 0; i < blocks_of(size); i++) {
        blocks[i] = malloc(size);
        TEST_CHECK(blocks[i] != NULL);
        memset(blocks[i], JUNK, malloc_usable_size(blocks[i]));
    }
    for (int i = 0; i < blocks_of(size); i++)
        free(blocks[i]);
}

static void check_end(const unsigned char *p, size_t size, int i)
{
    size_t usable = malloc_usable_size((void *)p), from = usable - CLEARED > size ? usable - CLEARED : size;
    for (size_t at = from; at < usable; at++)
        if (p[at] != 0)
            TEST_FAIL("block %d of %zu bytes: what was there before is left at its end", i, size);
}

int main(void)
{
    static const size_t sizes[] = {0, 8, 24, 40, 100, 500, 2040, 2100, 20000};
    if (trap_is_peer())
        return 0;
    for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
        soil(sizes[k]);
        for (int i = 0; i < blocks_of(sizes[k]); i++) {
            blocks[i] = malloc(sizes[k]);
            TEST_CHECK(blocks[i] != NULL);
            check_end(blocks[i], sizes[k], i);
        }
        for (int i = 0; i < blocks_of(sizes[k]); i++)
            free(blocks[i]);
    }
    return 0;
}
