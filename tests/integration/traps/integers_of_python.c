/* ctypes gives what a function returns (restype = c_void_p) as an integer of Python's, which has 30 bits in each digit. Where Python's
 * library is mapped (here one of its name, loaded late), such an integer in memory that Python cut up keeps the block (mapped, which may lie behind a library's data; or from malloc, with what its debug mode adds): in both layouts that
 * there are, and one that leads into the middle, too. One of three digits is no address, and keeps nothing. */
#include "trap_disguise.h"

enum { N = 600, DIGIT_BITS = 30, DEBUG_BYTES = 32 };

struct integer {
    intptr_t n_references;
    void *type;
    uint64_t n_digits;
    uint32_t digits[2];
};
static struct integer *integers, beside_data[N];
static struct integer *volatile in_malloc[N];

static __attribute__((noinline)) void put(struct integer *i, uint64_t n_digits, uintptr_t address)
{
    const uint32_t mask = (UINT32_C(1) << DIGIT_BITS) - 1;
    *i = (struct integer){1, &integers, n_digits, {(uint32_t)address & mask, (uint32_t)(address >> DIGIT_BITS)}};
}

static struct integer *place(int i)
{
    char *block;
    if (i % 4 != 0)
        return &integers[3 * i + i % 3];
    if (i % 8 != 0)
        return &beside_data[i];
    block = malloc(sizeof(struct integer) + (i % 16 == 0 ? DEBUG_BYTES : 0));
    in_malloc[i] = (struct integer *)(i % 16 == 0 ? block + DEBUG_BYTES / 2 : block);
    return in_malloc[i];
}

static __attribute__((noinline)) void make(void)
{
    for (int i = 0; i < N; i++)
        put(place(i), i % 2 == 0 ? 2 : 16, (uintptr_t)trap_reveal(trap_new()) + (i % 5 == 0 ? 24 : 0));
    for (int i = 0; i < DISGUISE_N_OTHERS; i++)
        put(&integers[3 * N + i], 3, disguise_new_other(i));
}

int main(int argc, char **argv)
{
    integers = disguise_begin(argc, argv);
    make();
    disguise_verify();
    return 0;
}
