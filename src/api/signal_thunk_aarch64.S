/* The way back of a fast path that a signal interrupted; see signal_defer.c. */
#if defined(__aarch64__)
    .text

/* uintptr_t *signal_return_slot(void *ucontext): the saved link register, which a function without a frame
 * returns by. */
#define UCONTEXT_X30 424
    .globl  signal_return_slot
    .hidden signal_return_slot
    .type   signal_return_slot, %function
    .balign 16
signal_return_slot:
    .cfi_startproc
    add     x0, x0, #UCONTEXT_X30
    ret
    .cfi_endproc
    .size   signal_return_slot, . - signal_return_slot

/* The block that malloc returned is kept on the stack, where a collection sees it. */
    .globl  signal_thunk
    .hidden signal_thunk
    .type   signal_thunk, %function
    .balign 16
    nop
signal_thunk:
    .cfi_startproc
    sub     sp, sp, #32
    .cfi_def_cfa_offset 32
    .cfi_offset x30, -24
    str     x0, [sp, #16]
    bl      signal_thunk_return
    str     x0, [sp, #8]
    bl      signal_thunk_release
    ldr     x0, [sp, #16]
    ldr     x30, [sp, #8]
    add     sp, sp, #32
    .cfi_def_cfa_offset 0
    ret
    .cfi_endproc
    .size   signal_thunk, . - signal_thunk

#endif
    .section .note.GNU-stack, "", %progbits
