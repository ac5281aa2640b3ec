/* A leaf function keeps a block below its stack pointer, as the ABI allows: 8 and 120 bytes below. */
#include "trap_asm.h"
#if TRAP_HAS_ASM
static void *body_near(void *arg)
{
    struct trap_thread *t = arg;
    TEST_CHECK(TRAP_SPIN(t, "mov %%rax, -16(%%rsp)", "mov -16(%%rsp), %%rax") == t->hidden);
    return NULL;
}

static void *body_far(void *arg)
{
    struct trap_thread *t = arg;
    TEST_CHECK(TRAP_SPIN(t, "mov %%rax, -128(%%rsp)", "mov -128(%%rsp), %%rax") == t->hidden);
    return NULL;
}

int main(void)
{
    void *(*const bodies[])(void *) = {body_near, body_far};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        trap_hold(bodies[i]);
    return 0;
}
#else
int main(void)
{
    TEST_SKIP("written for x86-64");
}
#endif
