/* vfork, clone, dlopen, makecontext and syscall; see interpose_process.c. */
#include "api/interposed.h"
#if defined(__x86_64__)
    .text
#define SYS_VFORK 58
#define RTLD_DEEPBIND 8

/* The child returns from here first and then uses the stack that the parent will return on, so the return
 * address is kept in a register, which the kernel restores in the parent. */
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

/* The numbers of enum real_fn. */
    .set    .Ln_real, 0
#define REAL_NUMBER(name, version) .set .L##name, .Ln_real; .set .Ln_real, .Ln_real + 1;
    INTERPOSED_REAL(REAL_NUMBER)

/* int clone(int (*fn)(void *), void *stack, int flags, void *arg, ...), if it is libc's. The name is anybody's, and a library that the
 * program is linked to may have a function of it with other arguments and another result, which is gone to with all registers as they
 * are. Weak, for a program that has its own and is linked with us. */
    .weak   clone
    .type   clone, @function
    .balign 16
clone:
    .cfi_startproc
    cmpb    $0, real_is_foreign + .Lclone(%rip)
    je      interpose_clone
    jmpq    *real_table + 8 * .Lclone(%rip)
    .cfi_endproc
    .size   clone, . - clone

/* Asks FUNCTION, called with the six arguments of the caller, where to go, and jumps there with the same arguments. */
    .macro  jump_where function
    pushq   %rdi
    .cfi_def_cfa_offset 16
    pushq   %rsi
    .cfi_def_cfa_offset 24
    pushq   %rdx
    .cfi_def_cfa_offset 32
    pushq   %rcx
    .cfi_def_cfa_offset 40
    pushq   %r8
    .cfi_def_cfa_offset 48
    pushq   %r9
    .cfi_def_cfa_offset 56
    subq    $8, %rsp
    .cfi_def_cfa_offset 64
    callq   \function
    addq    $8, %rsp
    .cfi_def_cfa_offset 56
    popq    %r9
    .cfi_def_cfa_offset 48
    popq    %r8
    .cfi_def_cfa_offset 40
    popq    %rcx
    .cfi_def_cfa_offset 32
    popq    %rdx
    .cfi_def_cfa_offset 24
    popq    %rsi
    .cfi_def_cfa_offset 16
    popq    %rdi
    .cfi_def_cfa_offset 8
    jmpq    *%rax
    .endm

/* void *dlopen(const char *file, int mode): libc's own, reached by a jump, because it looks for the library
 * along the path of whoever its return address belongs to. */
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

/* void makecontext(ucontext_t *context, void (*fn)(void), int n, ...): libc's own, to whom the rest is left where it lies. */
    .globl  makecontext
    .type   makecontext, @function
    .balign 16
makecontext:
    .cfi_startproc
    jump_where interpose_makecontext_target
    .cfi_endproc
    .size   makecontext, . - makecontext

/* long syscall(long nr, ...): libc's own, but for the one call that changes what we may do, the two that make
 * another program of the process, the two that queue a value, the one by which threads wait for each other, and the one
 * that may find a stack of ours. Up to six arguments lie in registers, the last one on the stack, where the jump
 * leaves it. */
#define SYS_EXECVE 59
#define SYS_RT_SIGQUEUEINFO 129
#define SYS_SIGALTSTACK 131
#define SYS_FUTEX 202
#define SYS_RT_TGSIGQUEUEINFO 297
#define SYS_SECCOMP 317
#define SYS_EXECVEAT 322
    .globl  syscall
    .type   syscall, @function
    .balign 16
syscall:
    .cfi_startproc
    cmpq    $SYS_FUTEX, %rdi
    je      interpose_futex
    cmpq    $SYS_SECCOMP, %rdi
    je      interpose_seccomp
    cmpq    $SYS_EXECVE, %rdi
    je      interpose_exec
    cmpq    $SYS_EXECVEAT, %rdi
    je      interpose_exec
    cmpq    $SYS_RT_SIGQUEUEINFO, %rdi
    je      interpose_sigqueueinfo
    cmpq    $SYS_RT_TGSIGQUEUEINFO, %rdi
    je      interpose_sigqueueinfo
    cmpq    $SYS_SIGALTSTACK, %rdi
    je      interpose_sigaltstack
    jump_where interpose_syscall_target
    .cfi_endproc
    .size   syscall, . - syscall

#endif
    .section .note.GNU-stack, "", @progbits
