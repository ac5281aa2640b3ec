/* Keeping requests from outside away while this process becomes another program.
 *
 * What    Whoever asks holds the lock of the process's own /proc/PID/status alone while it looks for the handler and queues
 *         the signal; whoever is about to exec shares it, and the kernel gives it up when the exec has closed the descriptor.
 *         So no signal is on its way to a program that has no handler for it.
 * Not here  who asks: api/gcrun_control.c. The handler: stop_handler.c.
 */
#include "os/os.h"

#include <errno.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include "base/fmt.h"
#include "os/probe.h"

enum {
    REQUEST_PATH_BYTES = 48,
    REQUEST_N_LOOKS = 100,
    REQUEST_LOOK_NS = 500 * 1000,
};

/* Whoever asks needs microseconds. */
static int request_share_lock(int fd)
{
    uint32_t never = 0;
    int err = -EAGAIN;

    for (int i = 0; i < REQUEST_N_LOOKS && err == -EAGAIN; i++) {
        if (i != 0)
            os_futex_wait(&never, 0, REQUEST_LOOK_NS);
        err = (int)os_syscall(SYS_flock, fd, LOCK_SH | LOCK_NB, 0, 0, 0, 0);
    }
    return err;
}

int os_request_hold_off(void)
{
    char path[REQUEST_PATH_BYTES];
    struct fmt f = fmt_init(path, sizeof(path));
    int fd, err;

    fmt_str(&f, "/proc/");
    fmt_u64(&f, (uint64_t)os_getpid());
    fmt_str(&f, "/status");
    fd = os_probe_open(fmt_cstr(&f));
    if (fd < 0)
        return fd;
    err = request_share_lock(fd);
    if (err == 0)
        return fd;
    os_probe_close(fd);
    return err;
}

void os_request_let_in(int fd)
{
    if (fd >= 0)
        os_probe_close(fd);
}
