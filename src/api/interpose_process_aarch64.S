/* vfork, clone, dlopen, makecontext and syscall; see interpose_process.c. */
#include "api/interposed.h"
#if defined(__aarch64__)
    .text
#define SYS_CLONE 220
#define CLONE_VFORK_VM_SIGCHLD (0x4000 | 0x100 | 17)
#define RTLD_DEEPBIND 8

/* The child returns from here first and then uses the stack that the parent will return on, so the return
 * address is kept in a register, which the kernel restores in the parent. */
    .globl  vfork
    .type   vfork, %function
    .globl  __vfork
    .type   __vfork, %function
    .balign 16
vfork:
__vfork:
    .cfi_startproc
    stp     x29, x30, [sp, #-16]!
    .cfi_def_cfa_offset 16
    .cfi_offset x29, -16
    .cfi_offset x30, -8
    bl      interpose_vfork_begin
    ldp     x29, x30, [sp], #16
    .cfi_def_cfa_offset 0
    .cfi_restore x29
    .cfi_restore x30
    mov     x0, #CLONE_VFORK_VM_SIGCHLD
    mov     x1, #0
    mov     x2, #0
    mov     x3, #0
    mov     x4, #0
    mov     x8, #SYS_CLONE
    svc     #0
    cbz     x0, 1f
    stp     x29, x30, [sp, #-16]!
    .cfi_def_cfa_offset 16
    .cfi_offset x29, -16
    .cfi_offset x30, -8
    bl      interpose_vfork_end
    ldp     x29, x30, [sp], #16
    .cfi_def_cfa_offset 0
    .cfi_restore x29
    .cfi_restore x30
1:  ret
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
    .type   clone, %function
    .balign 16
clone:
    .cfi_startproc
    adrp    x16, real_is_foreign + .Lclone
    add     x16, x16, :lo12:real_is_foreign + .Lclone
    ldrb    w16, [x16]
    cbz     w16, 1f
    adrp    x16, real_table + 8 * .Lclone
    ldr     x16, [x16, :lo12:real_table + 8 * .Lclone]
    br      x16
1:  b       interpose_clone
    .cfi_endproc
    .size   clone, . - clone

/* Asks FUNCTION, called with the eight arguments of the caller, where to go, and jumps there with the same arguments. */
    .macro  jump_where function
    stp     x29, x30, [sp, #-80]!
    .cfi_def_cfa_offset 80
    .cfi_offset x29, -80
    .cfi_offset x30, -72
    stp     x0, x1, [sp, #16]
    stp     x2, x3, [sp, #32]
    stp     x4, x5, [sp, #48]
    stp     x6, x7, [sp, #64]
    bl      \function
    mov     x16, x0
    ldp     x0, x1, [sp, #16]
    ldp     x2, x3, [sp, #32]
    ldp     x4, x5, [sp, #48]
    ldp     x6, x7, [sp, #64]
    ldp     x29, x30, [sp], #80
    .cfi_def_cfa_offset 0
    .cfi_restore x29
    .cfi_restore x30
    br      x16
    .endm

/* void *dlopen(const char *file, int mode): libc's own, reached by a jump, because it looks for the library
 * along the path of whoever its return address belongs to. */
    .globl  dlopen
    .type   dlopen, %function
    .balign 16
dlopen:
    .cfi_startproc
    stp     x29, x30, [sp, #-32]!
    .cfi_def_cfa_offset 32
    .cfi_offset x29, -32
    .cfi_offset x30, -24
    stp     x0, x1, [sp, #16]
    bl      interpose_dlopen_target
    mov     x16, x0
    ldp     x0, x1, [sp, #16]
    ldp     x29, x30, [sp], #32
    .cfi_def_cfa_offset 0
    .cfi_restore x29
    .cfi_restore x30
    and     w1, w1, #~RTLD_DEEPBIND
    br      x16
    .cfi_endproc
    .size   dlopen, . - dlopen

/* void makecontext(ucontext_t *context, void (*fn)(void), int n, ...): libc's own, to whom the rest is left where it lies. */
    .globl  makecontext
    .type   makecontext, %function
    .balign 16
makecontext:
    .cfi_startproc
    jump_where interpose_makecontext_target
    .cfi_endproc
    .size   makecontext, . - makecontext

/* long syscall(long nr, ...): libc's own, but for the one call that changes what we may do, the two that make
 * another program of the process, the two that queue a value, the one by which threads wait for each other, and the one
 * that may find a stack of ours. */
#define SYS_FUTEX 98
#define SYS_SIGALTSTACK 132
#define SYS_RT_SIGQUEUEINFO 138
#define SYS_EXECVE 221
#define SYS_RT_TGSIGQUEUEINFO 240
#define SYS_SECCOMP 277
#define SYS_EXECVEAT 281
    .globl  syscall
    .type   syscall, %function
    .balign 16
syscall:
    .cfi_startproc
    cmp     x0, #SYS_FUTEX
    b.eq    interpose_futex
    cmp     x0, #SYS_SECCOMP
    b.eq    interpose_seccomp
    cmp     x0, #SYS_EXECVE
    b.eq    interpose_exec
    cmp     x0, #SYS_EXECVEAT
    b.eq    interpose_exec
    cmp     x0, #SYS_RT_SIGQUEUEINFO
    b.eq    interpose_sigqueueinfo
    cmp     x0, #SYS_RT_TGSIGQUEUEINFO
    b.eq    interpose_sigqueueinfo
    cmp     x0, #SYS_SIGALTSTACK
    b.eq    interpose_sigaltstack
    jump_where interpose_syscall_target
    .cfi_endproc
    .size   syscall, . - syscall

#endif
    .section .note.GNU-stack, "", %progbits
