/* Ruby's integer n is the word 2n + 1. Where Fiddle is loaded, which calls C with them (here a library of its name), such a word keeps its block,
 * in memory that Ruby mapped or got from malloc. An even word of that size is none, and keeps nothing. */
#include <dlfcn.h>
#include <sys/mman.h>
#include "trap.h"

enum { N = 600, N_OTHERS = 200, OTHER_SIZE = 304, ARENA_BYTES = 1 << 20 };

static uint64_t *mapped, in_data[N];
static uint64_t *volatile in_block[N];
static uintptr_t others[N_OTHERS]; /* hidden */

static uint64_t *place(int i)
{
    switch (i % 3) {
    case 0: return &mapped[i];
    case 1: return &in_data[i];
    default:
        in_block[i] = malloc((size_t)(16 + i * 8)); /* the word is the first, or the last that was asked for */
        return &in_block[i][i % 2 == 0 ? 0 : 1 + i];
    }
}

static __attribute__((noinline)) void make(void)
{
    for (int i = 0; i < N; i++)
        *place(i) = ((uintptr_t)trap_reveal(trap_new()) + (i % 5 == 0 ? 24 : 0)) * 2 + 1;
    for (int i = 0; i < N_OTHERS; i++) {
        others[i] = ~(uintptr_t)malloc(OTHER_SIZE);
        mapped[N + i] = ~others[i] * 2;
    }
}

int main(int argc, char **argv)
{
    TEST_CHECK(argc == 2);
    if (dlopen(argv[1], RTLD_NOW) == NULL)
        TEST_FAIL("dlopen: %s", dlerror());
    mapped = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(mapped != MAP_FAILED);
    make();
    trap_verify();
    int n_kept = 0;
    for (int i = 0; i < N_OTHERS; i++)
        n_kept += trap_find(trap_reveal(others[i])) != NULL;
    if (!trap_is_peer() && n_kept > N_OTHERS / 10)
        TEST_FAIL("%d of %d are kept by what is no address", n_kept, N_OTHERS);
    return 0;
}
