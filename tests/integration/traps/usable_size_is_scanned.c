/* Every byte up to malloc_usable_size belongs to the program and is searched: the only pointer to each target
 * lies at a random aligned place below it, in blocks of all sizes, also after realloc in place to less. */
#include <malloc.h>
#include "trap.h"
#define N 600
static void *volatile holders[N];

static size_t random_size(uint64_t r)
{
    switch (r % 4) {
    case 0:
        return 8 + (r >> 8) % 120;
    case 1:
        return 8 + (r >> 8) % 4000;
    case 2:
        return 8 + (r >> 8) % 40000;
    default:
        return 8 + (r >> 8) % 300000;
    }
}

static __attribute__((noinline)) void store(int i, uint64_t r)
{
    size_t size = random_size(r);
    char *holder = (r >> 40) % 3 == 0 ? aligned_alloc(64, size) : malloc(size);
    if ((r >> 44) % 4 == 0 && size > 64)
        holder = realloc(holder, size = size * 3 / 4);
    size_t usable = malloc_usable_size(holder);
    TEST_CHECK(usable >= size);
    memset(holder, 0, usable);
    size_t last = usable / sizeof(void *) - 1;
    size_t at = (r >> 50) % 2 ? last : (r >> 24) % (last + 1); /* the last word half of the time */
    ((void **)holder)[at] = trap_reveal(trap_new());
    holders[i] = holder;
}

int main(void)
{
    uint64_t random = test_env_number("GCM_SEED", 1);
    for (int i = 0; i < N; i++)
        store(i, test_random(&random));
    trap_clear_stack();
    trap_verify();
    TEST_CHECK(holders[N - 1] != NULL);
    return 0;
}
