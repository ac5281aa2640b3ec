/* How a libc call that waits in the kernel is wrapped.
 *
 * A thread inside counts as stopped (os/gate): it is not signalled, so the call is not interrupted, and it
 * must pass the gate before it runs on. So only calls may be wrapped that do nothing but one system call: no
 * allocation, no callback. Its arguments lie in the wrapper's frame or in registers that publishing spilled:
 * what they point to is kept. Leaving by cancellation passes the gate in the wrapper's personality routine,
 * before the program's own cleanups run; leaving by longjmp from a signal handler has passed it in the
 * trampoline.
 */
#ifndef API_BLOCK_H
#define API_BLOCK_H

#include <errno.h>
#include "api/real.h"
#include "base/compiler.h"
#include "os/os.h"

/* Where libc lacks the call. */
ALWAYS_INLINE int block_missing(void)
{
    errno = ENOSYS;
    return -1;
}

/* Names block_unwind as the personality of the function that it stands in, as a direct, pc-relative reference (0x1b).
 * A cleanup of the compiler's would do the same, but makes every program load libgcc_s at its start. */
#define BLOCK_PERSONALITY __asm__(".cfi_personality 0x1b, block_unwind")

/* Defines the exported wrapper `name`. missing: what to return where libc has no such function. The real
 * function is looked up before the gate is published, because that may allocate. */
#define BLOCK(type, name, params, args, missing)                                                             \
    EXPORT type name params                                                                                  \
    {                                                                                                        \
        __typeof__(&name) block_real = REAL(name);                                                           \
        if (UNLIKELY(block_real == NULL))                                                                    \
            return missing;                                                                                  \
        BLOCK_PERSONALITY;                                                                                   \
        struct os_gate_frame frame;                                                                          \
        os_gate_publish(&frame);                                                                             \
        type block_result = block_real args;                                                                 \
        os_gate_leave(&frame);                                                                               \
        return block_result;                                                                                 \
    }
#define BLOCK_CALL(type, name, params, args) BLOCK(type, name, params, args, block_missing())

#endif
