/* A running thread holds a block in one general register and nowhere else, for each register in turn. */
#include <stddef.h>
#include "trap_asm.h"
#if TRAP_HAS_ASM
#define BODY(reg)                                                                                            \
    static void *body_##reg(void *arg)                                                                       \
    {                                                                                                        \
        struct trap_thread *t = arg;                                                                         \
        TEST_CHECK(TRAP_SPIN(t, "mov %%rax, %%" #reg, "mov %%" #reg ", %%rax", #reg) == t->hidden);          \
        return NULL;                                                                                         \
    }
BODY(rbx)
BODY(rcx)
BODY(rdx)
BODY(rdi)
BODY(rsi)
BODY(r8)
BODY(r9)
BODY(r10)
BODY(r11)
BODY(r12)
BODY(r13)
BODY(r14)
BODY(r15)

/* The compiler keeps these two for itself: rax is where it wants the result, rbp may be its frame pointer. */
static void *body_rax(void *arg)
{
    struct trap_thread *t = arg;
    uintptr_t out;
    __asm__ volatile("mov %[hidden], %%rax\n\tnot %%rax\n\tmovl $1, %[ready]\n"
                     "1:\tpause\n\tcmpl $0, %[release]\n\tje 1b\n\tnot %%rax"
                     : "=&a"(out), [ready] "=m"(t->ready)
                     : [hidden] "m"(t->hidden), [release] "m"(t->release)
                     : "memory", "cc");
    TEST_CHECK(out == t->hidden);
    return NULL;
}

static void *body_rbp(void *arg)
{
    struct trap_thread *t = arg;
    uintptr_t out;
    __asm__ volatile("mov %%rbp, %%rdx\n\tmov %c[hidden](%%rdi), %%rbp\n\tnot %%rbp\n\tmovl $1, %c[ready](%%rdi)\n"
                     "1:\tpause\n\tcmpl $0, %c[release](%%rdi)\n\tje 1b\n\t"
                     "mov %%rbp, %%rax\n\tnot %%rax\n\tmov %%rdx, %%rbp"
                     : "=&a"(out)
                     : "D"(t), [hidden] "i"(offsetof(struct trap_thread, hidden)),
                       [ready] "i"(offsetof(struct trap_thread, ready)), [release] "i"(offsetof(struct trap_thread, release))
                     : "memory", "cc", "rdx");
    TEST_CHECK(out == t->hidden);
    return NULL;
}

int main(void)
{
    void *(*const bodies[])(void *) = {body_rax, body_rbx, body_rcx, body_rdx, body_rbp, body_rdi, body_rsi, body_r8,
                                       body_r9,  body_r10, body_r11, body_r12, body_r13, body_r14, body_r15};
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
