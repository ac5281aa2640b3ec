/* Unwinding through a wrapped call; see block.h.
 *
 * What    the personality routine of the wrappers: a thread that is cancelled inside one passes the gate before the frames
 *         above it are cleaned up.
 * Invariants  calls nothing of the unwinder, so that the library does not need libgcc_s: what is to be undone is known by
 *         the thread, not by the frame.
 */
#include "api/block.h"

#include <unwind.h>

_Unwind_Reason_Code block_unwind(int version, _Unwind_Action actions, _Unwind_Exception_Class exception_class,
                                 struct _Unwind_Exception *exception, struct _Unwind_Context *context);

__attribute__((visibility("hidden"), used)) _Unwind_Reason_Code
block_unwind(int version, _Unwind_Action actions, _Unwind_Exception_Class exception_class,
             struct _Unwind_Exception *exception, struct _Unwind_Context *context)
{
    (void)version, (void)exception_class, (void)exception, (void)context;
    if ((actions & _UA_CLEANUP_PHASE) != 0)
        os_gate_suspend(); /* for good: it does nothing where the thread was not published */
    return _URC_CONTINUE_UNWIND;
}
