/* Under probation a weak link and a finalizer wait for the second collection that does not reach their block; an explicit
 * one looks twice itself; and a use of a block after the first is told in the trace, with its size and who used it.
 * usage: probation_confirms, under GCMALLOC=probation=careful,floor=1M,trace=1,trace_file=probation_confirms.trace */
#include "gcmalloc.h"
#include "trap.h"
extern __typeof__(gc_get_stats) gc_get_stats __attribute__((weak));
extern __typeof__(gc_inhibit) gc_inhibit __attribute__((weak));
extern __typeof__(gc_uninhibit) gc_uninhibit __attribute__((weak));
extern __typeof__(gc_malloc) gc_malloc __attribute__((weak));
extern __typeof__(gc_weak_link) gc_weak_link __attribute__((weak));
extern __typeof__(gc_set_finalizer) gc_set_finalizer __attribute__((weak));

enum { N = 100, SIZE = 656, USED_SIZE = 1616 };
static _Atomic int n_finalized;
static void **links; /* in a block that is not searched */

static void finalize(void *block, void *arg)
{
    (void)block, (void)arg;
    atomic_fetch_add(&n_finalized, 1);
}

static __attribute__((noinline)) void lose(int i)
{
    void *block = malloc(SIZE);
    links[i] = block;
    TEST_CHECK(gc_weak_link(&links[i], block, 0) == 0 && gc_set_finalizer(block, finalize, NULL) == 0);
}

static __attribute__((noinline)) uintptr_t lose_plain(void)
{
    return ~(uintptr_t)malloc(USED_SIZE);
}

/* One cycle, as growth starts it. */
static void collect_once(void)
{
    struct gc_stats before, after;
    trap_clear_stack();
    gc_get_stats(&before, sizeof(before));
    gc_uninhibit();
    do {
        memset(malloc(3000), 0, 3000);
        gc_get_stats(&after, sizeof(after));
    } while (after.n_cycles == before.n_cycles);
    gc_inhibit();
}

static int n_links(void)
{
    int n = 0;
    for (int i = 0; i < N; i++)
        n += links[i] != NULL;
    return n;
}

static void check_told(void)
{
    static char text[1 << 20];
    FILE *f = fopen("probation_confirms.trace", "r");
    TEST_CHECK(f != NULL);
    text[fread(text, 1, sizeof(text) - 1, f)] = 0;
    fclose(f);
    const char *told = strstr(text, "gc: free of 0x");
    TEST_CHECK(told != NULL && strstr(told, " bytes, malloc) from 0x") != NULL);
    TEST_CHECK(strstr(told, "it had been found unreachable") != NULL);
}

int main(void)
{
    if (gc_weak_link == NULL)
        TEST_FAIL("the library is not loaded");
    gc_inhibit();
    links = gc_malloc(N * sizeof(void *), GC_NOSCAN);
    for (int i = 0; i < N; i++)
        lose(i);
    uintptr_t hidden = lose_plain();
    collect_once();
    TEST_CHECK(n_links() == N && atomic_load(&n_finalized) == 0);
    free(trap_reveal(hidden));
    collect_once();
    TEST_CHECK(n_links() < N / 10);
    for (int i = 0; i < 1000 && atomic_load(&n_finalized) < N * 9 / 10; i++)
        usleep(5000);
    TEST_CHECK(atomic_load(&n_finalized) >= N * 9 / 10);
    check_told();
    gc_uninhibit();
    trap_verify(); /* an explicit collection takes what nothing leads to */
    return 0;
}
