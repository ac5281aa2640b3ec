/* A running thread holds a block in a vector register and nowhere else, in the low and in the upper half. */
#include "trap_asm.h"
#if TRAP_HAS_ASM
static void *body_xmm7(void *arg)
{
    struct trap_thread *t = arg;
    TEST_CHECK(TRAP_SPIN(t, "movq %%rax, %%xmm7", "movq %%xmm7, %%rax", "xmm7") == t->hidden);
    return NULL;
}

static void *body_xmm15_high(void *arg)
{
    struct trap_thread *t = arg;
    TEST_CHECK(TRAP_SPIN(t,
                         "pxor %%xmm15, %%xmm15\n\tmovq %%rax, %%xmm14\n\tpunpcklqdq %%xmm14, "
                         "%%xmm15\n\tpxor %%xmm14, %%xmm14",
                         "punpckhqdq %%xmm15, %%xmm15\n\tmovq %%xmm15, %%rax", "xmm14",
                         "xmm15") == t->hidden);
    return NULL;
}

int main(void)
{
    void *(*const bodies[])(void *) = {body_xmm7, body_xmm15_high};
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
