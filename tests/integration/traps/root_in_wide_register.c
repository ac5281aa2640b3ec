/* A running thread holds a block in a register that only some processors have, and nowhere else: beyond the lower 256 bits of a
 * vector, in a vector above the sixteenth, in a mask, in a register of MMX, in a tile. The kernel saves each elsewhere. */
#include "trap_asm.h"
#if TRAP_HAS_ASM
#include <cpuid.h>
enum { ARCH_REQUEST = 0x1023, TILE_DATA = 18 };

static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}

static bool has_mmx(void)
{
    return __builtin_cpu_supports("mmx");
}

/* The kernel gives tiles to who asks, if the alternate stacks of all threads have room for them. */
static bool has_tiles(void)
{
    unsigned a, b, c, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 24 & 1) != 0 &&
           syscall(SYS_arch_prctl, ARCH_REQUEST, TILE_DATA) == 0;
}

static void *body_zmm_upper(void *arg)
{
    struct trap_thread *t = arg;
    TEST_CHECK(TRAP_SPIN(t,
                         "vmovq %%rax, %%xmm5\n\tvpxorq %%zmm6, %%zmm6, %%zmm6\n\t"
                         "vinserti64x4 $1, %%ymm5, %%zmm6, %%zmm6\n\tvpxor %%xmm5, %%xmm5, %%xmm5",
                         "vextracti64x4 $1, %%zmm6, %%ymm5\n\tvmovq %%xmm5, %%rax\n\tvzeroupper", "xmm5",
                         "xmm6") == t->hidden);
    return NULL;
}

/* The compiler, which was not told of these, uses none of them. */
static void *body_zmm17(void *arg)
{
    struct trap_thread *t = arg;
    TEST_CHECK(TRAP_SPIN(t, "vmovq %%rax, %%xmm17", "vmovq %%xmm17, %%rax\n\tvpxorq %%zmm17, %%zmm17, %%zmm17") ==
               t->hidden);
    return NULL;
}

static void *body_mask(void *arg)
{
    struct trap_thread *t = arg;
    TEST_CHECK(TRAP_SPIN(t, "kmovq %%rax, %%k3", "kmovq %%k3, %%rax\n\tkxorq %%k3, %%k3, %%k3") == t->hidden);
    return NULL;
}

static void *body_mmx(void *arg)
{
    struct trap_thread *t = arg;
    TEST_CHECK(TRAP_SPIN(t, "movq %%rax, %%mm3", "movq %%mm3, %%rax\n\temms") == t->hidden);
    return NULL;
}

static const unsigned char tile_config[64] __attribute__((aligned(64))) = {[0] = 1, [16] = 64, [48] = 1};

static void *body_tile(void *arg)
{
    struct trap_thread *t = arg;
    static uintptr_t row[8] __attribute__((aligned(64)));
    uintptr_t out;
    __asm__ volatile("ldtilecfg %[config]\n\t"
                     "mov %[hidden], %%rax\n\t"
                     "not %%rax\n\t"
                     "mov %%rax, 24(%[row])\n\t"
                     "xor %%eax, %%eax\n\t"
                     "tileloadd (%[row],%%rax,1), %%tmm0\n\t"
                     "movq $0, 24(%[row])\n\t"
                     "movl $1, %[ready]\n"
                     "1:\tpause\n\t"
                     "cmpl $0, %[release]\n\t"
                     "je 1b\n\t"
                     "tilestored %%tmm0, (%[row],%%rax,1)\n\t"
                     "mov 24(%[row]), %%rax\n\t"
                     "movq $0, 24(%[row])\n\t"
                     "tilerelease\n\t"
                     "not %%rax"
                     : "=&a"(out), [ready] "=m"(t->ready)
                     : [hidden] "m"(t->hidden), [release] "m"(t->release), [row] "r"(row), [config] "m"(tile_config)
                     : "memory", "cc");
    TEST_CHECK(out == t->hidden);
    return NULL;
}

int main(void)
{
    static const struct {
        bool (*is_there)(void);
        void *(*body)(void *arg);
    } registers[] = {{has_mmx, body_mmx},
                     {has_avx512, body_zmm_upper},
                     {has_avx512, body_zmm17},
                     {has_avx512, body_mask},
                     {has_tiles, body_tile}};
    for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
        if (registers[i].is_there())
            trap_hold(registers[i].body);
    return 0;
}
#else
int main(void)
{
    TEST_SKIP("written for x86-64");
}
#endif
