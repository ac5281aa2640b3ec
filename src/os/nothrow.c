/* Exceptions that must not pass.
 *
 * What    a personality routine, which an unwinder asks at the frame of os_call_nothrow. It is named by hand, because gcc's
 *         own would load libgcc_s, and asks too late: an exception that nobody catches is never unwound.
 * Not here  what a cancelled thread undoes on its way out of a wrapped call: block_unwind, in the storey above.
 */
#include <unwind.h>

#include "base/compiler.h"
#include "os/os.h"

struct unwind_call {
    void (*on_throw)(void *arg);
    void *arg;
};
static __thread const struct unwind_call *unwind_call __attribute__((tls_model("initial-exec")));

/* Cancelling a thread passes through. */
__attribute__((used)) static _Unwind_Reason_Code unwind_stop(int version, _Unwind_Action actions,
                                                             _Unwind_Exception_Class what,
                                                             struct _Unwind_Exception *exception,
                                                             struct _Unwind_Context *context)
{
    (void)version;
    (void)what;
    (void)exception;
    (void)context;
    if ((actions & _UA_FORCE_UNWIND) == 0)
        unwind_call->on_throw(unwind_call->arg);
    return _URC_CONTINUE_UNWIND;
}

NOINLINE void os_call_nothrow(void (*fn)(void *arg), void *arg, void (*on_throw)(void *arg))
{
    const struct unwind_call *outer = unwind_call;
    const struct unwind_call call = {on_throw, arg};

    __asm__ volatile(".cfi_personality 0x1b, unwind_stop"); /* 0x1b: a distance of 32 bits */
    unwind_call = &call;
    fn(arg);
    unwind_call = outer;
}
