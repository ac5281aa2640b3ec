/* A block whose only pointer is hidden is found unreachable; the program uses it all the same. While it is on probation a
 * free, realloc or malloc_usable_size finds it whole, is counted and told, and from then on blocks of its size are kept.
 * What nobody uses is gone after the second collection. usage: probation, under GCMALLOC=probation=careful */
#include <malloc.h>
#include "gcmalloc.h"
#include "trap.h"
extern __typeof__(gc_get_stats) gc_get_stats __attribute__((weak));
extern __typeof__(gc_inhibit) gc_inhibit __attribute__((weak));
extern __typeof__(gc_uninhibit) gc_uninhibit __attribute__((weak));

enum { SIZES = 3 };
static const size_t sizes[SIZES] = {432, 848, 100000};

/* One cycle, as growth would start it; an explicit one looks twice. */
static void collect_once(void)
{
    struct gc_stats before, after;
    gc_get_stats(&before, sizeof(before));
    gc_uninhibit();
    for (int i = 0; i < 100000; i++) {
        memset(malloc(3000), 0, 3000);
        gc_get_stats(&after, sizeof(after));
        if (after.n_cycles != before.n_cycles) {
            gc_inhibit();
            return;
        }
    }
    TEST_FAIL("no cycle was started by growth");
}

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
    trap_clear_stack();
    collect_once();
    for (int i = 0; i < N; i++)
        if (i / SIZES % 4 < 3)
            use(i / SIZES % 4, hidden[i], sizes[i % SIZES], (uint32_t)i);
    collect_once();
    int n_gone = 0;
    for (int i = 0; i < N; i++)
        n_gone += gc_find_object(trap_reveal(lost[i]), NULL) == NULL;
    if (n_gone < N * 9 / 10)
        TEST_FAIL("only %d of %d lost blocks were taken", n_gone, N);
    collect_once();
    /* what was not used has the size of what was */
    for (int i = 0; i < N; i++)
        if (i / SIZES % 4 == 3 || i / SIZES % 4 == 1)
            TEST_CHECK(test_is_filled(trap_reveal(hidden[i]), sizes[i % SIZES], (uint32_t)i));
    return 0;
}
