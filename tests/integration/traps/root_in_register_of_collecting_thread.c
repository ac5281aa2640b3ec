/* The thread that collects holds blocks in registers that a called function must keep, in all six at once, and nowhere else. */
#include "trap_asm.h"
#if TRAP_HAS_ASM
enum { N_KEPT = 6 };

/* fn(arg) with the revealed addresses in rbx, rbp and r12 to r15, which are hidden again afterwards. */
long trap_call_holding(uintptr_t hidden[N_KEPT], int (*fn)(int), long arg);
__asm__(".text\n"
        ".globl trap_call_holding\n"
        ".type trap_call_holding, @function\n"
        "trap_call_holding:\n"
        "\tpush %rbx\n\tpush %rbp\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n"
        "\tpush %rdi\n"
        "\tmov %rsi, %rax\n"
        "\tmov (%rdi), %rbx\n\tmov 8(%rdi), %rbp\n\tmov 16(%rdi), %r12\n"
        "\tmov 24(%rdi), %r13\n\tmov 32(%rdi), %r14\n\tmov 40(%rdi), %r15\n"
        "\tnot %rbx\n\tnot %rbp\n\tnot %r12\n\tnot %r13\n\tnot %r14\n\tnot %r15\n"
        "\tmov %rdx, %rdi\n"
        "\tcall *%rax\n"
        "\tnot %rbx\n\tnot %rbp\n\tnot %r12\n\tnot %r13\n\tnot %r14\n\tnot %r15\n"
        "\tpop %rdi\n"
        "\tmov %rbx, (%rdi)\n\tmov %rbp, 8(%rdi)\n\tmov %r12, 16(%rdi)\n"
        "\tmov %r13, 24(%rdi)\n\tmov %r14, 32(%rdi)\n\tmov %r15, 40(%rdi)\n"
        "\tpop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbp\n\tpop %rbx\n"
        "\tret\n"
        ".size trap_call_holding, . - trap_call_holding\n");

int main(void)
{
    uintptr_t hidden[N_KEPT], kept[N_KEPT];
    long result = ECANCELED;
    for (int i = 0; i < N_KEPT; i++)
        kept[i] = hidden[i] = trap_new();
    trap_make_garbage(TRAP_SIZE);
    for (int i = 0; i < TRAP_TRIES && result == ECANCELED; i++) {
        trap_clear_stack();
        result = trap_call_holding(kept, trap_gc, TRAP_GC_FULL);
    }
    TEST_CHECK(result == 0 || trap_is_emulated());
    TEST_CHECK(memcmp(kept, hidden, sizeof(hidden)) == 0);
    unsigned n_reclaimed = trap_count_reclaimed();
    trap_overwrite(TRAP_SIZE);
    trap_check_targets();
    if (n_reclaimed < TRAP_GARBAGE * 9 / 10 && !trap_is_emulated())
        TEST_FAIL("only %u of %u garbage blocks were reclaimed", n_reclaimed, (unsigned)TRAP_GARBAGE);
    return 0;
}
#else
int main(void)
{
    TEST_SKIP("written for x86-64");
}
#endif
