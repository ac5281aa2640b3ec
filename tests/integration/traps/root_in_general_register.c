/* A running thread holds a block in one general register and nowhere else, for each register in turn. */
#include "trap_asm.h"
#if TRAP_HAS_ASM
#define BODY(reg)                                                                                            \
    static void *body_##reg(void *arg)                                                                       \
    {                                                                                                        \
        struct trap_thread *t = arg;                                                                         \
        TEST_CHECK(TRAP_SPIN(t, "mov %%rax, %%" #reg, "mov %%" #reg ", %%rax", #reg) == t->hidden);          \
        return NULL;                                                                                         \
    }
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

int main(void)
{
    void *(*const bodies[])(void *) = {body_rdi, body_rsi, body_r8,  body_r9,  body_r10,
                                       body_r11, body_r12, body_r13, body_r14, body_r15};
    for (int i = 0; i < 10; i++) {
        struct trap_thread t = {.hidden = trap_new()};
        trap_thread_start(&t, bodies[i]);
        trap_verify();
        trap_thread_end(&t);
        trap_forget(t.hidden);
    }
    return 0;
}
#else
int main(void)
{
    TEST_SKIP("written for x86-64");
}
#endif
