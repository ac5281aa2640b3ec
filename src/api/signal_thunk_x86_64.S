/* The way back of a fast path that a signal interrupted; see signal_defer.c. */
#if defined(__x86_64__)
    .text

/* uintptr_t *signal_return_slot(void *ucontext): the word at the interrupted stack pointer. */
#define UCONTEXT_RSP 160
    .globl  signal_return_slot
    .hidden signal_return_slot
    .type   signal_return_slot, @function
    .balign 16
signal_return_slot:
    .cfi_startproc
    movq    UCONTEXT_RSP(%rdi), %rax
    retq
    .cfi_endproc
    .size   signal_return_slot, . - signal_return_slot

/* Reached by a return, so the stack is as the caller of malloc has it: aligned to 16. The block that malloc
 * returned is kept on the stack, where a collection sees it. Once the true return address is in place, the
 * frame is an ordinary one. */
    .globl  signal_thunk
    .hidden signal_thunk
    .type   signal_thunk, @function
    .balign 16
    nop
signal_thunk:
    .cfi_startproc
    subq    $8, %rsp
    pushq   %rax
    .cfi_def_cfa_offset 16
    callq   signal_thunk_return
    movq    %rax, 8(%rsp)
    callq   signal_thunk_release
    popq    %rax
    .cfi_def_cfa_offset 8
    retq
    .cfi_endproc
    .size   signal_thunk, . - signal_thunk

#endif
    .section .note.GNU-stack, "", @progbits
