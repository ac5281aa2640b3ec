/* Traps whose target's address is in a register alone, or below the stack pointer. x86-64. */
#ifndef TESTS_SUPPORT_TRAP_ASM_H
#define TESTS_SUPPORT_TRAP_ASM_H

#include "trap.h"

#ifdef __x86_64__
#define TRAP_HAS_ASM 1

/* void trap_switch(void **save_sp, void *load_sp): to another stack, as a library of coroutines does; what it keeps in registers is
 * on the stack that is left, and nowhere else. */
#define TRAP_DEFINE_SWITCH \
    void trap_switch(void **save_sp, void *load_sp); \
    __asm__(".text\n" \
    ".globl trap_switch\n" \
    ".type trap_switch, @function\n" \
    "trap_switch:\n" \
    "\tpush %rbp\n\tpush %rbx\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n" \
    "\tmov %rsp, (%rdi)\n" \
    "\tmov %rsi, %rsp\n" \
    "\tpop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbx\n\tpop %rbp\n" \
    "\tret\n" \
    ".size trap_switch, . - trap_switch\n");

#else
#define TRAP_HAS_ASM 0
#endif

#if TRAP_HAS_ASM
/* Reveal t->hidden by `load` (from rax), forget it in rax, say ready, spin until release, fetch it back by
 * `fetch` into rax. The result is hidden again. */
#define TRAP_SPIN(t, load, fetch, ...)                                                                       \
    ({                                                                                                       \
        uintptr_t result_;                                                                                   \
        __asm__ volatile("mov %[hidden], %%rax\n\t"                                                          \
                         "not %%rax\n\t" load "\n\t"                                                         \
                         "xor %%eax, %%eax\n\t"                                                              \
                         "movl $1, %[ready]\n"                                                               \
                         "1:\tpause\n\t"                                                                     \
                         "cmpl $0, %[release]\n\t"                                                           \
                         "je 1b\n\t" fetch "\n\t"                                                            \
                         "not %%rax\n\t"                                                                     \
                         : "=&a"(result_), [ready] "=m"((t)->ready)                                          \
                         : [hidden] "m"((t)->hidden), [release] "m"((t)->release)                            \
                         : "memory", "cc", ##__VA_ARGS__);                                                   \
        result_;                                                                                             \
    })

/* long trap_call_with_rbx(fn, hidden, a, b, c, d, &hidden_out): fn(a, b, c, d) with the revealed address in
 * rbx only, which no callee changes. */
long trap_call_with_rbx(void *fn, uintptr_t hidden, long a, long b, long c, long d, uintptr_t *hidden_out);
__asm__(".text\n"
        ".globl trap_call_with_rbx\n"
        ".type trap_call_with_rbx, @function\n"
        "trap_call_with_rbx:\n"
        "\tpush %rbx\n"
        "\tpush %r12\n"
        "\tsub $8, %rsp\n"
        "\tmov %rdi, %rax\n"
        "\tmov %rsi, %rbx\n"
        "\tmov 32(%rsp), %r12\n" /* seventh argument */
        "\tmov %rdx, %rdi\n"
        "\tmov %rcx, %rsi\n"
        "\tmov %r8, %rdx\n"
        "\tmov %r9, %rcx\n"
        "\tnot %rbx\n"
        "\tcall *%rax\n"
        "\tnot %rbx\n"
        "\tmov %rbx, (%r12)\n"
        "\tadd $8, %rsp\n"
        "\tpop %r12\n"
        "\tpop %rbx\n"
        "\tret\n"
        ".size trap_call_with_rbx, . - trap_call_with_rbx\n");

/* fn(a, b, c, d) with the revealed addresses in all registers that a called function must keep, rbx, rbp and r12 to r15, which are
 * hidden again afterwards. */
enum { TRAP_N_KEPT = 6 };
long trap_call_holding(uintptr_t hidden[TRAP_N_KEPT], void *fn, long a, long b, long c, long d);
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
        "\tmov %rdx, %rdi\n\tmov %rcx, %rsi\n\tmov %r8, %rdx\n\tmov %r9, %rcx\n"
        "\tcall *%rax\n"
        "\tnot %rbx\n\tnot %rbp\n\tnot %r12\n\tnot %r13\n\tnot %r14\n\tnot %r15\n"
        "\tpop %rdi\n"
        "\tmov %rbx, (%rdi)\n\tmov %rbp, 8(%rdi)\n\tmov %r12, 16(%rdi)\n"
        "\tmov %r13, 24(%rdi)\n\tmov %r14, 32(%rdi)\n\tmov %r15, 40(%rdi)\n"
        "\tpop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbp\n\tpop %rbx\n"
        "\tret\n"
        ".size trap_call_holding, . - trap_call_holding\n");
#endif

/* Hold t's block in a register alone, where that can be said, else on the stack, until released. The result is hidden again. */
static inline uintptr_t trap_hold_until_released(struct trap_thread *t)
{
#if TRAP_HAS_ASM
    return TRAP_SPIN(t, "mov %%rax, %%r12", "mov %%r12, %%rax", "r12");
#else
    void *volatile block = trap_reveal(t->hidden);
    atomic_store(&t->ready, 1);
    while (!atomic_load(&t->release))
        __asm__ volatile("" ::: "memory");
    return ~(uintptr_t)block;
#endif
}

/* A thread that runs body holds a block where only body knows, while collections run. */
static inline void trap_hold(void *(*body)(void *arg))
{
    struct trap_thread t = {.hidden = trap_new()};
    trap_thread_start(&t, body);
    trap_verify();
    trap_thread_end(&t);
    trap_forget(t.hidden);
}

#endif
