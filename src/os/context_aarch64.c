/* Signal frames of aarch64: siginfo, ucontext with records of vector state; a record may name a place above
 * for more. */
#if defined(__aarch64__)
#include "os/context.h"

#include <asm/sigcontext.h>
#include <string.h>
#include <ucontext.h>

uintptr_t context_pc(const void *ucontext)
{
    return (uintptr_t)((const ucontext_t *)ucontext)->uc_mcontext.pc;
}

uintptr_t context_sp(const void *ucontext)
{
    return (uintptr_t)((const ucontext_t *)ucontext)->uc_mcontext.sp;
}

/* Wide vector registers do not fit into the fixed part; the record of type EXTRA_MAGIC says where they are.
 */
uintptr_t context_frame_end(const void *ucontext)
{
    const ucontext_t *uc = ucontext;
    const unsigned char *p = (const unsigned char *)uc->uc_mcontext.__reserved;
    const unsigned char *end = p + sizeof(uc->uc_mcontext.__reserved);
    struct _aarch64_ctx head;
    struct extra_context extra;

    for (; p + sizeof(head) <= end; p += head.size) {
        memcpy(&head, p, sizeof(head));
        if (head.magic == 0 || head.size < sizeof(head))
            break;
        if (head.magic == EXTRA_MAGIC && p + sizeof(extra) <= end) {
            memcpy(&extra, p, sizeof(extra));
            return (uintptr_t)extra.datap + extra.size;
        }
    }
    return (uintptr_t)(uc + 1);
}

void context_jump(void *ucontext, uintptr_t pc, uintptr_t sp)
{
    ((ucontext_t *)ucontext)->uc_mcontext.pc = pc;
    ((ucontext_t *)ucontext)->uc_mcontext.sp = sp;
}

uintptr_t context_tls_base(void)
{
    uintptr_t base;

    __asm__ volatile("mrs %0, tpidr_el0" : "=r"(base));
    return base;
}
#else
typedef int context_aarch64_is_empty; /* a translation unit needs a declaration */
#endif
