/* The upper half of a 256 bit register is saved by the kernel elsewhere than the lower one. */
#include "trap_asm.h"
#if TRAP_HAS_ASM
static void *body(void *arg)
{
    struct trap_thread *t = arg;
    TEST_CHECK(TRAP_SPIN(t,
                         "vmovq %%rax, %%xmm5\n\tvpxor %%xmm6, %%xmm6, %%xmm6\n\tvinsertf128 $1, %%xmm5, "
                         "%%ymm6, %%ymm6\n\t"
                         "vpxor %%xmm5, %%xmm5, %%xmm5",
                         "vextractf128 $1, %%ymm6, %%xmm5\n\tvmovq %%xmm5, %%rax\n\tvzeroupper", "xmm5",
                         "xmm6") == t->hidden);
    return NULL;
}

int main(void)
{
    if (!__builtin_cpu_supports("avx"))
        TEST_SKIP("no AVX");
    struct trap_thread t = {.hidden = trap_new()};
    trap_thread_start(&t, body);
    trap_verify();
    trap_thread_end(&t);
    return 0;
}
#else
int main(void)
{
    TEST_SKIP("written for x86-64");
}
#endif
