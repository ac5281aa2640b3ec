/* An alternate signal stack for a thread that has none.
 *
 * What    The frame of a signal handler holds all vector registers, up to 11 KiB of them, and a coroutine's stack may be
 *         a page or two. So the stop handler runs on an alternate stack, and where the program set none, on ours.
 * Owns    os_thread.altstack: where few are spare it stays with the record and serves the next thread that gets it.
 * Callers  handlers of the program that ask for an alternate stack (SA_ONSTACK) run on it, too: a runtime that asks the kernel
 *         by itself (Go) finds it, takes it for the program's, and expects them there.
 * Not here  what the program sets, and what it is told: api/interpose_altstack.c.
 */
#include "os/os.h"

#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/bits.h"
#include "os/kernel.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

enum {
    ALTSTACK_FRAME_MIN = 2048,  /* where the kernel does not say */
    ALTSTACK_ROOM = 224 * 1024, /* requests from outside are answered on it; only what is touched costs memory */
    ALTSTACK_N_FRAMES = 2,
};

size_t os_altstack_frame_bytes(void)
{
    unsigned long frame_bytes = os_auxval(AT_MINSIGSTKSZ);

    return frame_bytes > ALTSTACK_FRAME_MIN ? frame_bytes : ALTSTACK_FRAME_MIN;
}

size_t os_altstack_size(void)
{
    return bits_round_up(ALTSTACK_ROOM + ALTSTACK_N_FRAMES * os_altstack_frame_bytes(), os_page_size());
}

static bool altstack_make(struct os_thread *t)
{
    const size_t guard_bytes = os_page_size(), size = os_altstack_size();
    long got;

    if (t->altstack != NULL)
        return true;
    got = os_syscall(SYS_mmap, 0, (long)(guard_bytes + size), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (kernel_is_error(got))
        return false;
    if (os_syscall(SYS_mprotect, got + (long)guard_bytes, (long)size, PROT_READ | PROT_WRITE, 0, 0, 0) != 0) {
        os_syscall(SYS_munmap, got, (long)(guard_bytes + size), 0, 0, 0, 0);
        return false;
    }
    t->altstack = (char *)got + guard_bytes;
    return true;
}

void os_altstack_unmap(void *altstack)
{
    const size_t guard_bytes = os_page_size();

    os_syscall(SYS_munmap, (long)altstack - (long)guard_bytes, (long)(guard_bytes + os_altstack_size()), 0, 0, 0, 0);
}

static bool altstack_ask(stack_t *now)
{
    return !os_seccomp_is_on() && os_syscall(SYS_sigaltstack, 0, (long)now, 0, 0, 0, 0) == 0;
}

static bool altstack_set(struct os_thread *t, stack_t *before)
{
    stack_t ours = {.ss_size = os_altstack_size()};

    if (!altstack_make(t))
        return false;
    ours.ss_sp = t->altstack;
    return os_syscall(SYS_sigaltstack, (long)&ours, (long)before, 0, 0, 0, 0) == 0;
}

void os_altstack_lend(struct os_thread *t)
{
    stack_t now;

    if (t != NULL && altstack_ask(&now) && (now.ss_flags & SS_DISABLE) != 0)
        altstack_set(t, NULL);
}

/* The kernel gives none to a new thread, so what was there is looked at afterwards: in a virtual machine a system call may take 2 us. */
void os_altstack_lend_new(struct os_thread *t)
{
    stack_t before;

    if (t != NULL && !os_seccomp_is_on() && altstack_set(t, &before) && (before.ss_flags & SS_DISABLE) == 0)
        os_syscall(SYS_sigaltstack, (long)&before, 0, 0, 0, 0, 0); /* whoever wrapped its function, too, set one */
}

/* ---- leaving it for another stack ------------------------------------------------------------------------------- */

static const uint64_t altstack_all_signals = ~UINT64_C(0);

void os_altstack_leave(struct os_altstack_hold *h)
{
    stack_t now;

    h->is_on = altstack_ask(&now) && (now.ss_flags & SS_ONSTACK) != 0;
    if (!h->is_on)
        return;
    h->sp = now.ss_sp;
    h->size = now.ss_size;
    kernel_sigprocmask(SIG_SETMASK, &altstack_all_signals, &h->mask);
}

void os_altstack_left(const struct os_altstack_hold *h)
{
    stack_t none = {.ss_flags = SS_DISABLE};

    if (!h->is_on)
        return;
    os_syscall(SYS_sigaltstack, (long)&none, 0, 0, 0, 0, 0);
    kernel_sigprocmask(SIG_SETMASK, &h->mask, NULL);
}

void os_altstack_return(const struct os_altstack_hold *h)
{
    stack_t before = {.ss_sp = h->sp, .ss_size = h->size};

    if (!h->is_on)
        return;
    kernel_sigprocmask(SIG_SETMASK, &altstack_all_signals, NULL);
    os_syscall(SYS_sigaltstack, (long)&before, 0, 0, 0, 0, 0);
}

void os_altstack_returned(const struct os_altstack_hold *h)
{
    if (h->is_on)
        kernel_sigprocmask(SIG_SETMASK, &h->mask, NULL);
}

bool os_altstack_take_back(const struct os_thread *t)
{
    stack_t now, none = {.ss_flags = SS_DISABLE};

    if (t->altstack == NULL)
        return true;
    if (os_seccomp_is_on())
        return false;
    if (os_syscall(SYS_sigaltstack, (long)&none, (long)&now, 0, 0, 0, 0) != 0) /* the thread is on one: on which? */
        return altstack_ask(&now) && now.ss_sp != t->altstack;
    if (now.ss_sp != t->altstack && (now.ss_flags & SS_DISABLE) == 0)
        os_syscall(SYS_sigaltstack, (long)&now, 0, 0, 0, 0, 0);
    return true;
}
