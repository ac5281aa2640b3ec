/* Under probation a weak link and a finalizer wait for the second collection that does not reach their block; an explicit
 * one looks twice itself. usage: probation_confirms, under GCMALLOC=probation=careful,floor=1M,budget=100 */
#include "trap_growth.h"
extern __typeof__(gc_weak_link) gc_weak_link __attribute__((weak));
extern __typeof__(gc_set_finalizer) gc_set_finalizer __attribute__((weak));

enum { N = 100, SIZE = 656 };
static _Atomic int n_finalized;
static void *volatile kept;
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

static int n_links(void)
{
    int n = 0;
    for (int i = 0; i < N; i++)
        n += links[i] != NULL;
    return n;
}

int main(void)
{
    if (gc_weak_link == NULL)
        TEST_FAIL("the library is not loaded");
    gc_inhibit();
    links = gc_malloc(N * sizeof(void *), GC_NOSCAN);
    for (int i = 0; i < N; i++)
        lose(i);
    trap_collect_by_growth();
    TEST_CHECK(n_links() == N && atomic_load(&n_finalized) == 0);
    trap_collect_by_growth();
    TEST_CHECK(n_links() < N / 10);
    for (int i = 0; i < 1000 && atomic_load(&n_finalized) < N * 9 / 10; i++)
        usleep(5000);
    TEST_CHECK(atomic_load(&n_finalized) >= N * 9 / 10);
    gc_uninhibit();
    kept = trap_reveal(trap_new()); /* so that there is something to verify */
    trap_verify(); /* an explicit collection takes what nothing leads to */
    return 0;
}
