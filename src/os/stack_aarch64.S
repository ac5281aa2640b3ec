/* aarch64: what C cannot say about stacks and registers. The way back from handlers is the kernel's own, in the vDSO. */
#ifdef __aarch64__

    .text

    .macro  SAVE_CALLEE
    stp     x29, x30, [sp, #-160]!
    .cfi_def_cfa_offset 160
    .cfi_offset x29, -160
    .cfi_offset x30, -152
    mov     x29, sp
    .cfi_def_cfa_register x29
    stp     x19, x20, [sp, #16]
    stp     x21, x22, [sp, #32]
    stp     x23, x24, [sp, #48]
    stp     x25, x26, [sp, #64]
    stp     x27, x28, [sp, #80]
    stp     d8, d9, [sp, #96]
    stp     d10, d11, [sp, #112]
    stp     d12, d13, [sp, #128]
    stp     d14, d15, [sp, #144]
    .endm

    .macro  RESTORE_CALLEE
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     d8, d9, [sp, #96]
    ldp     d10, d11, [sp, #112]
    ldp     d12, d13, [sp, #128]
    ldp     d14, d15, [sp, #144]
    ldp     x29, x30, [sp], #160
    .cfi_def_cfa sp, 0
    .endm

/* void os_call_on_stack(void (*fn)(void *arg, uintptr_t caller_sp), void *arg, void *top) */
    .globl  os_call_on_stack
    .hidden os_call_on_stack
    .type   os_call_on_stack, %function
    .balign 16
os_call_on_stack:
    .cfi_startproc
    SAVE_CALLEE
    mov     x9, x0
    mov     x0, x1
    mov     x1, sp                  /* caller_sp: all callee-saved registers lie at or above it */
    and     x2, x2, #-16
    mov     sp, x2
    blr     x9
    mov     sp, x29
    RESTORE_CALLEE
    ret
    .cfi_endproc
    .size   os_call_on_stack, . - os_call_on_stack

/* void os_gate_publish(struct os_gate_frame *f): spill, then decide in C with the caller's stack pointer. */
    .globl  os_gate_publish
    .hidden os_gate_publish
    .type   os_gate_publish, %function
    .balign 16
os_gate_publish:
    .cfi_startproc
    stp     x19, x20, [x0, #0]
    stp     x21, x22, [x0, #16]
    stp     x23, x24, [x0, #32]
    stp     x25, x26, [x0, #48]
    stp     x27, x28, [x0, #64]
    stp     x29, x30, [x0, #80]
    stp     d8, d9, [x0, #96]
    stp     d10, d11, [x0, #112]
    stp     d12, d13, [x0, #128]
    stp     d14, d15, [x0, #144]
    mov     x1, sp
    b       os_gate_publish_at
    .cfi_endproc
    .size   os_gate_publish, . - os_gate_publish

/* bool os_fault_call(void (*fn)(void *), void *arg, uintptr_t *sp): true when fn returned. A fault handler makes it
 * return false by going on at os_fault_landing with the stack pointer kept in *sp. */
    .globl  os_fault_call
    .hidden os_fault_call
    .type   os_fault_call, %function
    .balign 16
os_fault_call:
    .cfi_startproc
    SAVE_CALLEE
    mov     x9, x0
    mov     x0, x1
    mov     x10, sp
    str     x10, [x2]
    blr     x9
    mov     w0, #1
    b       1f
    .globl  os_fault_landing
    .hidden os_fault_landing
os_fault_landing:
    mov     w0, #0
1:  RESTORE_CALLEE
    ret
    .cfi_endproc
    .size   os_fault_call, . - os_fault_call

#endif
    .section .note.GNU-stack, "", %progbits
