/* Pointers with low tags, with tags in the 16 high bits, and as NaN boxes, with tags of 17 bits as well. */
#include "trap.h"
#define N_FORMS 8
static volatile uintptr_t words[N_FORMS];

static __attribute__((noinline)) void store(void)
{
    for (int form = 0; form < N_FORMS; form++) {
        uintptr_t p = (uintptr_t)trap_reveal(trap_new());
        const uintptr_t forms[N_FORMS] = {p | 1,
                                          p | 7,
                                          p | (uintptr_t)0x7a5b << 48,
                                          p | (uintptr_t)0x00ff << 56,
                                          p | (uintptr_t)0xfff9 << 48, /* a NaN box: tag in bits 48 to 50 */
                                          p | (uintptr_t)0xffff << 48,
                                          p | (uintptr_t)0x1fff1 << 47, /* a NaN box: tag in bits 47 to 50 */
                                          p | (uintptr_t)0x1ffff << 47 | 3};
        words[form] = forms[form];
    }
}

int main(void)
{
    store();
    trap_clear_stack();
    trap_verify();
    return 0;
}
