/* x86-64: what C cannot say about stacks and registers. */
#ifdef __x86_64__

    .text

/* void os_call_on_stack(void (*fn)(void *arg, uintptr_t caller_sp), void *arg, void *top) */
    .globl  os_call_on_stack
    .hidden os_call_on_stack
    .type   os_call_on_stack, @function
    .balign 16
os_call_on_stack:
    .cfi_startproc
    pushq   %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %rbp, -16
    movq    %rsp, %rbp
    .cfi_def_cfa_register %rbp
    pushq   %rbx
    pushq   %r12
    pushq   %r13
    pushq   %r14
    pushq   %r15
    movq    %rdi, %rax
    movq    %rsi, %rdi
    movq    %rsp, %rsi              /* caller_sp: all callee-saved registers lie at or above it */
    movq    %rdx, %rsp
    andq    $-16, %rsp
    callq   *%rax
    leaq    -40(%rbp), %rsp
    popq    %r15
    popq    %r14
    popq    %r13
    popq    %r12
    popq    %rbx
    popq    %rbp
    .cfi_def_cfa %rsp, 8
    retq
    .cfi_endproc
    .size   os_call_on_stack, . - os_call_on_stack

/* void os_gate_publish(struct os_gate_frame *f): spill, then decide in C with the caller's stack pointer. */
    .globl  os_gate_publish
    .hidden os_gate_publish
    .type   os_gate_publish, @function
    .balign 16
os_gate_publish:
    .cfi_startproc
    movq    %rbx, 0(%rdi)
    movq    %rbp, 8(%rdi)
    movq    %r12, 16(%rdi)
    movq    %r13, 24(%rdi)
    movq    %r14, 32(%rdi)
    movq    %r15, 40(%rdi)
    movq    %rsp, %rsi
    jmp     os_gate_publish_at
    .cfi_endproc
    .size   os_gate_publish, . - os_gate_publish

/* bool os_fault_call(void (*fn)(void *), void *arg, uintptr_t *sp): true when fn returned. A fault handler makes it
 * return false by going on at os_fault_landing with the stack pointer kept in *sp. */
    .globl  os_fault_call
    .hidden os_fault_call
    .type   os_fault_call, @function
    .balign 16
os_fault_call:
    .cfi_startproc
    pushq   %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset %rbp, -16
    movq    %rsp, %rbp
    .cfi_def_cfa_register %rbp
    pushq   %rbx
    pushq   %r12
    pushq   %r13
    pushq   %r14
    pushq   %r15
    subq    $8, %rsp
    movq    %rdi, %rax
    movq    %rsi, %rdi
    movq    %rsp, (%rdx)
    callq   *%rax
    movl    $1, %eax
    jmp     1f
    .globl  os_fault_landing
    .hidden os_fault_landing
os_fault_landing:
    cld
    xorl    %eax, %eax
1:  addq    $8, %rsp
    popq    %r15
    popq    %r14
    popq    %r13
    popq    %r12
    popq    %rbx
    popq    %rbp
    .cfi_def_cfa %rsp, 8
    retq
    .cfi_endproc
    .size   os_fault_call, . - os_fault_call

/* Way back from our handlers. Unwinders know a signal frame by exactly these two instructions, gdb by the name that libc
 * gives to them. No CFI, so that they look; the nop keeps a look-up of "address minus one" out of the function before. */
    .balign 16
    nop
    .type   __restore_rt, @function
__restore_rt:
    movq    $15, %rax
    syscall
    .size   __restore_rt, . - __restore_rt

    .section .data.rel.ro, "aw", @progbits
    .globl  os_sigreturn
    .hidden os_sigreturn
    .type   os_sigreturn, @object
    .balign 8
os_sigreturn:
    .quad   __restore_rt
    .size   os_sigreturn, 8

#endif
    .section .note.GNU-stack, "", @progbits
