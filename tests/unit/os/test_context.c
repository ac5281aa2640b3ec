/* What is found in the frame of a signal: PC, stack pointer, general and vector registers, the frame's end;
 * and the way back to another place. The kernel delivers to a handler installed as the stop handler is. */
#include "os_harness.h"

#include <ucontext.h>

#include "os/context.h"
#include "os/kernel.h"

#define MAGIC_GENERAL 0x123456789abcul
#define MAGIC_VECTOR 0x2468ace01357ul

static struct {
    uintptr_t pc, sp, frame_end;
    bool has_general, has_vector;
    int n_calls;
} seen;

extern const char trap_begin[], trap_end[];

static void look(int sig, siginfo_t *info, void *ucontext)
{
    (void)sig, (void)info;
    seen.n_calls++;
    seen.pc = context_pc(ucontext);
    seen.sp = context_sp(ucontext);
    seen.frame_end = context_frame_end(ucontext);
    for (uintptr_t *p = ucontext; (uintptr_t)(p + 1) <= seen.frame_end; p++) {
        seen.has_vector |= *p == MAGIC_VECTOR;
        seen.has_general |= *p == MAGIC_GENERAL;
    }
}

static void install(int sig, void *handler)
{
    struct kernel_sigaction action = KERNEL_ACTION(handler, SA_SIGINFO | SA_ONSTACK, ~UINT64_C(0));

    assert_int_equal(kernel_sigaction(sig, &action, NULL), 0);
}

/* Sends itself a signal with a word in a register of each kind and nowhere else, and waits: emulators deliver
 * late. */
static __attribute__((noinline)) void trap_with_registers(pid_t pid, pid_t tid)
{
#if defined(__x86_64__)
    __asm__ volatile("movabs %[v], %%rax\n"
                     "not %%rax\n"
                     "movq %%rax, %%xmm14\n"
                     "movabs %[g], %%r15\n"
                     "not %%r15\n"
                     "mov %[nr], %%eax\n"
                     ".globl trap_begin, trap_end\n"
                     "trap_begin:\n"
                     "syscall\n"
                     "1: cmpl $0, %[n_calls]\n"
                     "je 1b\n"
                     "trap_end: nop\n"
                     : [n_calls] "+m"(seen.n_calls)
                     : [v] "i"(~MAGIC_VECTOR), [g] "i"(~MAGIC_GENERAL), [nr] "i"(SYS_tgkill), "D"(pid),
                       "S"(tid), "d"(SIGUSR1)
                     : "rax", "rcx", "r11", "r15", "xmm14", "memory", "cc");
#else
    register long x0 __asm__("x0") = pid;
    register long x1 __asm__("x1") = tid;
    register long x2 __asm__("x2") = SIGUSR1;
    register long x8 __asm__("x8") = SYS_tgkill;

    __asm__ volatile("mvn x9, %[v]\n"
                     "fmov d14, x9\n"
                     "mvn x21, %[g]\n"
                     "mov x9, #0\n"
                     ".globl trap_begin, trap_end\n"
                     "trap_begin:\n"
                     "svc 0\n"
                     "1: ldr w9, %[n_calls]\n"
                     "cbz w9, 1b\n"
                     "trap_end: nop\n"
                     : "+r"(x0), [n_calls] "+m"(seen.n_calls)
                     : [v] "r"(~MAGIC_VECTOR), [g] "r"(~MAGIC_GENERAL), "r"(x1), "r"(x2), "r"(x8)
                     : "x9", "x21", "d14", "memory", "cc");
#endif
}

static void all_registers_are_in_the_frame(void **state)
{
    (void)state;
    install(SIGUSR1, look);
    trap_with_registers(os_getpid(), os_gettid());
    assert_int_equal(seen.n_calls, 1);
    assert_true(seen.pc > (uintptr_t)trap_begin && seen.pc <= (uintptr_t)trap_end);
    assert_true((uintptr_t)__builtin_frame_address(0) - seen.sp < 4096);
    assert_true(seen.has_general);
    assert_true(seen.has_vector);
}

static void a_frame_without_vectors_ends_with_it(void **state)
{
    ucontext_t uc;

    (void)state;
    memset(&uc, 0, sizeof(uc));
    assert_true(context_frame_end(&uc) == (uintptr_t)(&uc + 1)); /* no vector state, or an empty list of it */
}

static void the_base_is_the_threads(void **state)
{
    uintptr_t here = (uintptr_t)&os_tls, base = context_tls_base();

    (void)state;
    assert_true(base != 0);
    assert_true(here > base ? here - base < 65536 : base - here < 65536);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_registers_are_in_the_frame),
        cmocka_unit_test(a_frame_without_vectors_ends_with_it),
        cmocka_unit_test(the_base_is_the_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
