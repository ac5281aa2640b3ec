/* A block whose only pointer is hidden is found unreachable; the program uses it all the same. While it is on probation a
 * free, realloc or malloc_usable_size finds it whole, is counted and told, and from then on blocks of its size are kept.
 * What nobody uses is gone after the second collection. usage: probation, under
 * GCMALLOC=probation=careful,floor=1M,budget=100 */
#include <malloc.h>
#include "trap_growth.h"

enum { SIZES = 3 };
static const size_t sizes[SIZES] = {432, 848, 100000};

static void use(int how, uintptr_t hidden, size_t size, uint32_t seed)
{
    void *block = trap_reveal(hidden);
    TEST_CHECK(test_is_filled(block, size, seed));
    if (how == 0) {
        free(block);
    } else if (how == 1) {
        TEST_CHECK(malloc_usable_size(block) >= size);
        TEST_CHECK(test_is_filled(block, size, seed));
    } else {
        block = realloc(block, 2 * size);
        TEST_CHECK(block != NULL && test_is_filled(block, size, seed));
        free(block);
    }
}

static __attribute__((noinline)) uintptr_t new_hidden(size_t size, uint32_t seed)
{
    void *block = malloc(size);
    test_fill(block, size, seed);
    return ~(uintptr_t)block;
}

int main(void)
{
    enum { N = 200 };
    uintptr_t lost[N], hidden[N];
    if (gc_get_stats == NULL)
        TEST_FAIL("the library is not loaded");
    gc_inhibit();
    for (int i = 0; i < N; i++) {
        lost[i] = new_hidden(1200, 3);
        hidden[i] = new_hidden(sizes[i % SIZES], (uint32_t)i);
    }
    trap_collect_by_growth();
    for (int i = 0; i < N; i++)
        if (i / SIZES % 4 < 3)
            use(i / SIZES % 4, hidden[i], sizes[i % SIZES], (uint32_t)i);
    trap_collect_by_growth();
    int n_gone = 0;
    for (int i = 0; i < N; i++)
        n_gone += gc_find_object(trap_reveal(lost[i]), NULL) == NULL;
    if (n_gone < N * 9 / 10)
        TEST_FAIL("only %d of %d lost blocks were taken", n_gone, N);
    trap_collect_by_growth();
    /* what was not used has the size of what was */
    for (int i = 0; i < N; i++)
        if (i / SIZES % 4 == 3 || i / SIZES % 4 == 1)
            TEST_CHECK(test_is_filled(trap_reveal(hidden[i]), sizes[i % SIZES], (uint32_t)i));
    return 0;
}
