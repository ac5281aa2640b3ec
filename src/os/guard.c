/* How setjmp hides registers: glibc's guard for pointers.
 *
 * What    On x86-64 glibc hides rbp, rsp and the return address; rbp may hold a pointer of the program's. The guard lies
 *         in the thread's control block, at a place that is part of the ABI between gcc's and libc's code. On aarch64
 *         only the stack pointer and the return address are hidden.
 */
#include "os/os.h"

uint64_t os_pointer_guard(void)
{
    uint64_t guard = 0;

#if defined(__x86_64__) && defined(__GLIBC__)
    __asm__("mov %%fs:0x30, %0" : "=r"(guard));
#endif
    return guard;
}
