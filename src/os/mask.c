/* Which signals this thread takes: the collector puts the program's off while the world is stopped.
 *
 * Left open are faults (the collector's own reads raise them) and libc's two signals, one of which is ours as
 * well: libc's mask functions leave these open too.
 */
#include "os/os.h"

#include <signal.h>

#include "os/kernel.h"
#include "os/stop_state.h"

#define MASK_OPEN (UINT64_C(1) << (SIGSEGV - 1) | UINT64_C(1) << (SIGBUS - 1) | UINT64_C(3) << (32 - 1))

bool os_signals_hold(uint64_t *old)
{
    uint64_t held = ~MASK_OPEN;

    return kernel_sigprocmask(SIG_BLOCK, &held, old) == 0;
}

static const uint64_t mask_stop = UINT64_C(1) << (STOP_SIGNAL - 1);

bool os_stop_signal_hold(uint64_t *old)
{
    return kernel_sigprocmask(SIG_BLOCK, &mask_stop, old) == 0;
}

void os_stop_signal_open(void)
{
    kernel_sigprocmask(SIG_UNBLOCK, &mask_stop, NULL);
}

void os_signals_release(const uint64_t *old)
{
    kernel_sigprocmask(SIG_SETMASK, old, NULL);
}

/* libc's signal 32 cancels at once where the handler interrupted a call that may be cancelled. */
void os_signals_hold_in_handler(void)
{
    uint64_t held = ~MASK_OPEN | UINT64_C(1) << (32 - 1);

    kernel_sigprocmask(SIG_SETMASK, &held, NULL);
}
