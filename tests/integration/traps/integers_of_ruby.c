/* Ruby's integer n is the word 2n + 1. Where Fiddle is loaded, which calls C with them (here a library of its name), such a word keeps its block,
 * in memory that Ruby mapped or got from malloc. An even word of that size is none, and keeps nothing. */
#include "trap_disguise.h"

enum { N = 600 };

static uint64_t *mapped, in_data[N];
static uint64_t *volatile in_block[N];

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
    for (int i = 0; i < DISGUISE_N_OTHERS; i++)
        mapped[N + i] = disguise_new_other(i) * 2;
}

int main(int argc, char **argv)
{
    mapped = disguise_begin(argc, argv);
    make();
    disguise_verify();
    return 0;
}
