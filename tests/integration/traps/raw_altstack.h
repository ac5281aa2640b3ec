/* sigaltstack by an instruction of the program's own, of which nobody is told. */
#ifndef TESTS_TRAPS_RAW_ALTSTACK_H
#define TESTS_TRAPS_RAW_ALTSTACK_H

#include <signal.h>
#include <sys/syscall.h>

static long raw_sigaltstack(const stack_t *wanted, stack_t *old)
{
#if defined(__x86_64__)
    long result = SYS_sigaltstack;
    __asm__ volatile("syscall" : "+a"(result) : "D"(wanted), "S"(old) : "rcx", "r11", "memory");
    return result;
#else
    register long x0 __asm__("x0") = (long)wanted;
    register long x1 __asm__("x1") = (long)old;
    register long x8 __asm__("x8") = SYS_sigaltstack;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x1), "r"(x8) : "memory");
    return x0;
#endif
}

#endif
