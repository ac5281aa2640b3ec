/* sigaltstack: room for one more frame.
 *
 * What    The handler that stops a thread runs on the thread's alternate stack, perhaps on top of a handler
 *         of the program's that is there already. A stack that holds just the program's own handlers is
 *         exchanged for a larger one of ours; the program is told what it gave. With wide vector registers a
 *         frame alone is thousands of bytes.
 *         What the program gave is remembered in any case: it may be a block to which only the kernel holds a
 *         pointer.
 * Owns    api_tls.altstack, a block that is a root (SS_AUTODISARM: an ordinary one), and api_tls.altstack_given.
 * Invariants  between the kernel's check of the program's stack and the installation of ours no signal comes
 *         in.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include "api/alloc.h"
#include "api/interpose.h"
#include "api/real.h"
#include "os/os.h"

#define ALTSTACK_AUTODISARM ((int)(1u << 31)) /* SS_AUTODISARM, which not every libc names */

enum {
    ALTSTACK_ROOM = 8192,      /* for handlers that now share the stack with ours */
    ALTSTACK_MASK_BYTES = sizeof(uint64_t),
};

static size_t altstack_needed(void)
{
    return os_altstack_frame_bytes() + ALTSTACK_ROOM;
}

static bool altstack_is_lent(const stack_t *s)
{
    return s->ss_sp != NULL && os_tls.thread != NULL && s->ss_sp == os_tls.thread->altstack;
}

/* The program's question is answered with what it gave. */
static void altstack_translate(stack_t *old, const void *replacement, const stack_t *given)
{
    if (old == NULL)
        return;
    if (altstack_is_lent(old)) {
        *old = (stack_t){.ss_flags = SS_DISABLE};
    } else if (replacement != NULL && old->ss_sp == replacement) {
        old->ss_sp = given->ss_sp;
        old->ss_size = given->ss_size;
    }
}

/* The kernel judges the program's stack first, then gets ours. */
static int altstack_install(const stack_t *given, const stack_t *ours, stack_t *old)
{
    uint64_t all = ~UINT64_C(0), before;
    int result;

    os_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&before, ALTSTACK_MASK_BYTES, 0, 0);
    result = REAL_KNOWN(sigaltstack)(given, old);
    if (result == 0 && ours->ss_sp != NULL)
        result = REAL_KNOWN(sigaltstack)(ours, NULL);
    os_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, ALTSTACK_MASK_BYTES, 0, 0);
    return result;
}

/* A handler may still be on such a stack, or have been left there to be gone back to, when another is set: who is there keeps
 * the block, and the collector takes it when nobody is. */
static bool altstack_disarms_itself(const stack_t *s)
{
    return (s->ss_flags & ALTSTACK_AUTODISARM) != 0;
}

static stack_t altstack_replacement(const stack_t *given)
{
    stack_t ours = {.ss_sp = NULL};

    if ((given->ss_flags & SS_DISABLE) != 0 || given->ss_size >= altstack_needed())
        return ours;
    ours.ss_size = given->ss_size + altstack_needed();
    ours.ss_flags = given->ss_flags;
    ours.ss_sp = alloc_block(ours.ss_size, SIZECLASS_ALIGN, altstack_disarms_itself(given) ? FLAVOR_GC : FLAVOR_ROOT, NULL);
    return ours;
}

static int altstack_change(const stack_t *given, stack_t *old)
{
    stack_t ours = altstack_replacement(given), given_before = api_tls.altstack_given;
    void *replaced = api_tls.altstack;
    bool is_none = (given->ss_flags & SS_DISABLE) != 0;
    int result;

    if (!is_none && ours.ss_sp == NULL)
        os_thread_note_inner_stack((uintptr_t)given->ss_sp, given->ss_size);
    result = altstack_install(given, &ours, old);
    if (result != 0) {
        free(ours.ss_sp);
        return result;
    }
    altstack_translate(old, replaced, &given_before);
    api_tls.altstack = ours.ss_sp;
    api_tls.altstack_given = *given;
    if (!altstack_disarms_itself(&given_before))
        free(replaced);
    if (is_none && !api_state.is_passthrough)
        os_altstack_lend(os_tls.thread);
    return 0;
}

EXPORT int sigaltstack(const stack_t *restrict wanted, stack_t *restrict old)
{
    int result;

    if (wanted != NULL && !os_is_vfork_child()) { /* whose memory is its parent's, but not the stack */
        stack_t given = *wanted;
        (void)REAL(sigaltstack); /* looked up before signals are blocked */
        return altstack_change(&given, old);
    }
    result = REAL(sigaltstack)(wanted, old);
    if (result == 0)
        altstack_translate(old, api_tls.altstack, &api_tls.altstack_given);
    return result;
}

/* syscall(SYS_sigaltstack, ...) */
long interpose_sigaltstack(long nr, const stack_t *wanted, stack_t *old)
{
    (void)nr;
    return sigaltstack(wanted, old);
}

void interpose_altstack_retire(void)
{
    static const stack_t none = {.ss_flags = SS_DISABLE};

    if (api_tls.altstack == NULL || REAL_KNOWN(sigaltstack)(&none, NULL) != 0)
        return;
    free(api_tls.altstack);
    api_tls.altstack = NULL;
}
