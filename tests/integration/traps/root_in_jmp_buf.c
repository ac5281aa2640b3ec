/* setjmp stores the frame pointer's register rotated and xor-ed with a guard, the others plain. A block held in that
 * register alone, across a switch of the stack by longjmp: the jmp_buf in static data, on a stack, in a block. */
#include <setjmp.h>
#include "trap_asm.h"
#if TRAP_HAS_ASM
uintptr_t trap_hold_in_rbp(jmp_buf env, uintptr_t hidden, void (*fn)(void));
/* _setjmp with the revealed address in rbp; fn leaves by longjmp. The result is hidden again. */
__asm__(".text\n"
        ".globl trap_hold_in_rbp\n"
        ".type trap_hold_in_rbp, @function\n"
        "trap_hold_in_rbp:\n"
        "\tpush %rbp\n"
        "\tpush %rbx\n"
        "\tsub $8, %rsp\n"
        "\tmov %rsi, %rbp\n"
        "\tnot %rbp\n"
        "\tmov %rdx, %rbx\n"
        "\tcall _setjmp@PLT\n"
        "\ttest %eax, %eax\n"
        "\tjne 1f\n"
        "\txor %ebp, %ebp\n"
        "\tcall *%rbx\n"
        "\tud2\n"
        "1:\tmov %rbp, %rax\n"
        "\tnot %rax\n"
        "\tadd $8, %rsp\n"
        "\tpop %rbx\n"
        "\tpop %rbp\n"
        "\tret\n"
        ".size trap_hold_in_rbp, . - trap_hold_in_rbp\n");

static jmp_buf in_data;
static jmp_buf *current;

static void verify_and_return(void)
{
    trap_verify();
    longjmp(*current, 1);
}

static __attribute__((noinline)) void hold(jmp_buf *env)
{
    uintptr_t hidden = trap_new();
    current = env;
    TEST_CHECK(trap_hold_in_rbp(*env, hidden, verify_and_return) == hidden);
    trap_check_targets();
    trap_forget(hidden);
}

static __attribute__((noinline)) void hold_on_stack(void)
{
    jmp_buf on_stack;
    hold(&on_stack);
}

int main(void)
{
    hold(&in_data);
    hold_on_stack();
    hold(malloc(sizeof(jmp_buf)));
    return 0;
}
#else
int main(void)
{
    TEST_SKIP("not on this machine");
}
#endif
