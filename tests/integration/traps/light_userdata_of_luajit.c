/* LuaJIT's light userdata has the lower 39 bits of an address, the number of a segment for those above, and a type. Where its library is
 * mapped (here one of its name, loaded late), such a word keeps its block, wherever LuaJIT's own memory comes from: a mapping, the
 * library's data, or blocks of malloc of any size (lua_newstate), one inside another. Words of another type keep nothing. */
#include "trap_disguise.h"

enum { N = 600, LARGE_WORDS = 40000, LOW_BITS = 39, TYPE_SHIFT = 47 };
#define TYPE_LIGHT UINT64_C(0x1fffc)
#define TYPE_OTHER UINT64_C(0x1fffd) /* any other has all 47 bits, if it is an address; this one must not be taken for a light one */

static uint64_t *mapped, in_data[N];
static uint64_t *volatile in_block[N], *volatile large;

static uint64_t word_of(uint64_t type, unsigned segment, uintptr_t address)
{
    return type << TYPE_SHIFT | (uint64_t)segment << LOW_BITS | (address & ((UINT64_C(1) << LOW_BITS) - 1));
}

static uint64_t *place(int i)
{
    switch (i % 4) {
    case 0: return &mapped[i];
    case 1: return &in_data[i];
    case 2: return &large[i * (LARGE_WORDS / N)];
    default:
        in_block[i] = malloc((size_t)(16 + i * 8)); /* the word is the first, or the last that was asked for */
        return &in_block[i][i % 8 == 3 ? 0 : 1 + i];
    }
}

static __attribute__((noinline)) void make(void)
{
    for (int i = 0; i < N; i++)
        *place(i) = word_of(TYPE_LIGHT, (unsigned)i % 5, (uintptr_t)trap_reveal(trap_new()) + (i % 5 == 0 ? 24 : 0));
    for (int i = 0; i < DISGUISE_N_OTHERS; i++)
        mapped[N + i] = word_of(TYPE_OTHER, 1, disguise_new_other(i));
}

int main(int argc, char **argv)
{
    mapped = disguise_begin(argc, argv);
    large = calloc(LARGE_WORDS, sizeof(*large));
    make();
    disguise_verify();
    return 0;
}
