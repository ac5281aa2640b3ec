/* vfork and dlopen; see interpose_process.c. */
#if defined(__x86_64__)
    .text
#define SYS_VFORK 58
#define RTLD_DEEPBIND 8

/* The child returns from here first and then uses the stack that the parent will return on, so the return address is kept
 * in a register, which the kernel restores in the parent. */
    .globl  vfork
    .type   vfork, @function
    .globl  __vfork
    .type   __vfork, @function
    .balign 16
vfork:
__vfork:
    .cfi_startproc
    subq    $8, %rsp
    .cfi_def_cfa_offset 16
    callq   interpose_vfork_begin
    addq    $8, %rsp
    .cfi_def_cfa_offset 8
    popq    %rdi
    .cfi_def_cfa_offset 0
    .cfi_register %rip, %rdi
    movl    $SYS_VFORK, %eax
    syscall
    pushq   %rdi
    .cfi_def_cfa_offset 8
    .cfi_offset %rip, -8
    testq   %rax, %rax
    jz      1f
    subq    $8, %rsp
    .cfi_def_cfa_offset 16
    movq    %rax, %rdi
    callq   interpose_vfork_end
    addq    $8, %rsp
    .cfi_def_cfa_offset 8
1:  retq
    .cfi_endproc
    .size   vfork, . - vfork
    .size   __vfork, . - __vfork

/* void *dlopen(const char *file, int mode): libc's own, reached by a jump, because it looks for the library along the path
 * of whoever its return address belongs to. */
    .globl  dlopen
    .type   dlopen, @function
    .balign 16
dlopen:
    .cfi_startproc
    pushq   %rdi
    .cfi_def_cfa_offset 16
    pushq   %rsi
    .cfi_def_cfa_offset 24
    subq    $8, %rsp
    .cfi_def_cfa_offset 32
    callq   interpose_dlopen_target
    addq    $8, %rsp
    .cfi_def_cfa_offset 24
    popq    %rsi
    .cfi_def_cfa_offset 16
    popq    %rdi
    .cfi_def_cfa_offset 8
    andl    $~RTLD_DEEPBIND, %esi
    jmpq    *%rax
    .cfi_endproc
    .size   dlopen, . - dlopen

#endif
    .section .note.GNU-stack, "", @progbits
