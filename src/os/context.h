/* What a signal handler finds in its ucontext, and the thread's base register: the one place that knows the
 * machine.
 *
 * Not part of the contract. All functions are async-signal-safe.
 */
#ifndef OS_CONTEXT_H
#define OS_CONTEXT_H

#include <stdint.h>

#if defined(__x86_64__)
#define CONTEXT_TLS_HAS_SELF 1 /* glibc's thread block holds its own address: part of its ABI */
#define CONTEXT_TLS_SELF_OFFSET 16
#else
#define CONTEXT_TLS_HAS_SELF 0
#define CONTEXT_TLS_SELF_OFFSET 0
#endif

uintptr_t context_pc(const void *ucontext);
uintptr_t context_sp(const void *ucontext);
/* First address above the kernel's signal frame, vector state included. */
uintptr_t context_frame_end(const void *ucontext);
/* Make the interrupted thread go on at pc with sp. */
void context_jump(void *ucontext, uintptr_t pc, uintptr_t sp);
/* Base of the calling thread's static TLS, without reading memory through it. */
uintptr_t context_tls_base(void);

#endif
