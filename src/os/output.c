/* What the library writes for the user: to stderr, or to a file that an option names.
 *
 * What    Writing, so that nobody notices: a pipe without a reader and a file at RLIMIT_FSIZE are errors, and no signals
 *         that end the program. And a place for a descriptor that stays open, away from the small numbers that programs count on.
 *         A program may close all descriptors and open others, so what ours is is remembered, and asked for before it is used.
 * Invariants  errno is never touched; signal handlers may call all of it.
 *         Behind a filter of system calls only write is called.
 * Not here  how files are named and opened: api/outfile.c.
 */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "os/kernel.h"

enum { OUTPUT_FD_MIN = 100 };

/* ---- writing ---------------------------------------------------------------------- */

#define OUTPUT_SIGNAL_BIT(sig) (UINT64_C(1) << ((sig)-1))
static const uint64_t output_signals = OUTPUT_SIGNAL_BIT(SIGPIPE) | OUTPUT_SIGNAL_BIT(SIGXFSZ);

struct output_hold {
    uint64_t mask, pending; /* before */
    bool is_on;
};

/* A signal can only be pending already where the program holds it, too. */
static struct output_hold output_hold(void)
{
    struct output_hold hold = {0, 0, false};

    if (os_seccomp_is_on())
        return hold;
    hold.is_on = kernel_sigprocmask(SIG_BLOCK, &output_signals, &hold.mask) == 0;
    if (hold.is_on && (hold.mask & output_signals) != 0)
        os_syscall(SYS_rt_sigpending, (long)&hold.pending, sizeof(hold.pending), 0, 0, 0, 0);
    return hold;
}

static int output_signal_of(int error)
{
    return error == -EPIPE ? SIGPIPE : error == -EFBIG ? SIGXFSZ : 0;
}

/* The kernel sends these to the thread that writes, and a thread takes its own first: so none of the program's is taken. */
static void output_release(const struct output_hold *hold, int error)
{
    static const struct timespec at_once;
    int sig = output_signal_of(error);
    uint64_t bit = sig != 0 ? OUTPUT_SIGNAL_BIT(sig) : 0;

    if (!hold->is_on)
        return;
    if (bit != 0 && (hold->pending & bit) == 0)
        os_syscall(SYS_rt_sigtimedwait, (long)&bit, 0, (long)&at_once, sizeof(bit), 0, 0);
    kernel_sigprocmask(SIG_SETMASK, &hold->mask, NULL);
}

static int output_write(int fd, const char *p, size_t len)
{
    while (len > 0) {
        long n = os_syscall(SYS_write, fd, (long)p, (long)len, 0, 0, 0);

        if (n == -EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

int os_write_all(int fd, const void *buf, size_t len)
{
    struct output_hold hold = output_hold();
    int error = output_write(fd, buf, len);

    output_release(&hold, error);
    return error;
}

/* ---- a descriptor that stays open --------------------------------------------------- */

static bool output_identify(int fd, struct os_output *o)
{
    struct stat is;

    if (os_syscall(SYS_fstat, fd, (long)&is, 0, 0, 0, 0) != 0)
        return false;
    o->dev = is.st_dev;
    o->ino = is.st_ino;
    return true;
}

void os_output_keep(struct os_output *o, int fd, bool is_ours)
{
    int high = -1;

    if (fd >= 0)
        high = (int)os_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, OUTPUT_FD_MIN, 0, 0, 0);
    if (fd >= 0 && high < 0)
        high = (int)os_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 0, 0, 0, 0);
    if (fd >= 0 && is_ours)
        os_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
    o->is_kept = high >= 0 && output_identify(high, o);
    o->fd = o->is_kept ? high : -1;
}

int os_output_fd(const struct os_output *o)
{
    struct os_output now;

    if (!o->is_kept || os_seccomp_is_on())
        return o->fd;
    return output_identify(o->fd, &now) && now.dev == o->dev && now.ino == o->ino ? o->fd : -1;
}

void os_output_close(struct os_output *o)
{
    int fd = os_output_fd(o);

    if (fd >= 0)
        os_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
    o->fd = -1;
}
