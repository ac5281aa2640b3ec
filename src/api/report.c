/* What options stats, doctor and snapshot_file ask for when the process ends.
 *
 * What    a destructor of the library, which is the last to run: it stands before all others in the order of
 *         constructors. A process that ends by _exit, by a signal or by exec writes nothing.
 * Owns    the descriptor that the texts go to. It is a copy of stderr, because programs close their own on the way out
 *         (coreutils), or a file. Whether it is still the same file is asked before it is used: a program may have
 *         closed all descriptors and opened others.
 */
#include "api/report.h"

#include "gcmalloc.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "api/alloc.h"
#include "api/trace_file.h"
#include "os/os.h"

enum { REPORT_FD_MIN = 100 };

static struct {
    const struct options *options; /* NULL: not initialised */
    int fd;
    struct stat fd_is;
} report = {.fd = -1};

const struct options *report_options(void)
{
    return report.options;
}

/* Away from the small numbers that programs count on; closed on exec. */
static int report_set_aside(int fd, bool is_ours)
{
    int high = (int)os_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, REPORT_FD_MIN, 0, 0, 0);

    if (high < 0)
        high = (int)os_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 0, 0, 0, 0);
    if (is_ours)
        os_syscall(SYS_close, fd, 0, 0, 0, 0, 0);
    return high;
}

static void report_open(const char *pattern)
{
    int fd = trace_file_open(pattern);

    if (fd >= 0)
        report.fd = report_set_aside(fd, pattern[0] != '\0');
    if (report.fd < 0 || fstat(report.fd, &report.fd_is) != 0)
        report.fd = -1;
}

/* By its own pid, which an exec keeps. */
static bool report_is_asked(void)
{
    const struct options *options = report.options;

    return options != NULL && (options->report_pid == 0 || options->report_pid == os_getpid());
}

void report_init(const struct options *options)
{
    report.options = options;
    if (!report_is_asked())
        return;
    if (options->stats || options->doctor)
        report_open(options->stats_file);
}

static bool report_has_file(void)
{
    struct stat now;

    return report.fd >= 0 && fstat(report.fd, &now) == 0 && now.st_dev == report.fd_is.st_dev &&
           now.st_ino == report.fd_is.st_ino;
}

static void report_snapshot(void)
{
    static const char line[] = "libgcmalloc: option snapshot_file: no snapshot could be written\n";
    char path[OPTION_PATH_MAX + 32];
    struct fmt f = fmt_init(path, sizeof(path));

    if (report.options->snapshot_file[0] == '\0')
        return;
    trace_file_expand(&f, report.options->snapshot_file);
    if (gc_snapshot_write(fmt_cstr(&f)) != 0)
        os_write_all(2, line, sizeof(line) - 1);
}

__attribute__((destructor)) static void report_at_exit(void)
{
    if (!report_is_asked() || api_state.is_passthrough || os_seccomp_is_on() || os_is_vfork_child())
        return;
    report_snapshot();
    if (!report_has_file())
        return;
    if (report.options->doctor)
        report_doctor(report.fd);
    if (report.options->stats)
        report_stats(report.fd);
}
