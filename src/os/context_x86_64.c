/* Signal frames of x86-64: siginfo, ucontext, above them the floating point and vector state (xsave area). */
#if defined(__x86_64__)
#include "os/context.h"

#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "os/os.h"

/* The kernel says in bytes that the hardware leaves unused how long the whole area is. */
#define CONTEXT_FXSAVE_BYTES 512u
#define CONTEXT_SW_OFFSET 464u
#define CONTEXT_XSAVE_MAGIC 0x46505853u
#define CONTEXT_XSAVE_BYTES_MAX 65536u
#define CONTEXT_ARCH_GET_FS 0x1003

uintptr_t context_pc(const void *ucontext)
{
    return (uintptr_t)((const ucontext_t *)ucontext)->uc_mcontext.gregs[REG_RIP];
}

uintptr_t context_sp(const void *ucontext)
{
    return (uintptr_t)((const ucontext_t *)ucontext)->uc_mcontext.gregs[REG_RSP];
}

uintptr_t context_frame_end(const void *ucontext)
{
    const ucontext_t *uc = ucontext;
    uintptr_t fp = (uintptr_t)uc->uc_mcontext.fpregs;
    uint32_t sw[2]; /* magic, size */

    if (fp == 0)
        return (uintptr_t)(uc + 1);
    memcpy(sw, (const char *)fp + CONTEXT_SW_OFFSET, sizeof(sw));
    if (sw[0] != CONTEXT_XSAVE_MAGIC || sw[1] > CONTEXT_XSAVE_BYTES_MAX)
        return fp + CONTEXT_FXSAVE_BYTES;
    return fp + sw[1];
}

void context_jump(void *ucontext, uintptr_t pc, uintptr_t sp)
{
    ((ucontext_t *)ucontext)->uc_mcontext.gregs[REG_RIP] = (greg_t)pc;
    ((ucontext_t *)ucontext)->uc_mcontext.gregs[REG_RSP] = (greg_t)sp;
}

uintptr_t context_tls_base(void)
{
    uintptr_t base = 0;

    os_syscall(SYS_arch_prctl, CONTEXT_ARCH_GET_FS, (long)&base, 0, 0, 0, 0);
    return base;
}
#else
typedef int context_x86_64_is_empty; /* a translation unit needs a declaration */
#endif
