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
#include "api/control.h"
#include "api/outfile.h"
#include "os/os.h"

enum { REPORT_FD_MIN = 100 };

static struct {
    const struct options *options; /* NULL: not initialised */
    struct report_fd out;
} report = {.out = {.fd = -1}};

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

void report_keep_fd(struct report_fd *kept, int fd, bool is_ours)
{
    kept->fd = fd >= 0 ? report_set_aside(fd, is_ours) : -1;
    if (kept->fd < 0 || fstat(kept->fd, &kept->is) != 0)
        kept->fd = -1;
}

int report_kept_fd(const struct report_fd *kept)
{
    struct stat now;

    return kept->fd >= 0 && fstat(kept->fd, &now) == 0 && now.st_dev == kept->is.st_dev && now.st_ino == kept->is.st_ino
               ? kept->fd
               : -1;
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
        report_keep_fd(&report.out, outfile_append(options->stats_file), options->stats_file[0] != '\0');
}

static void report_snapshot(void)
{
    static const char line[] = "libgcmalloc: option snapshot_file: no snapshot could be written\n";
    char path[OPTION_PATH_MAX + 32];
    struct fmt f = fmt_init(path, sizeof(path));

    if (report.options->snapshot_file[0] == '\0')
        return;
    outfile_expand(&f, report.options->snapshot_file);
    if (gc_snapshot_write(fmt_cstr(&f)) != 0)
        os_write_all(2, line, sizeof(line) - 1);
}

__attribute__((destructor)) static void report_at_exit(void)
{
    if (report.options == NULL || api_state.is_passthrough || os_seccomp_is_on() || os_is_vfork_child())
        return;
    if (!control_end() || !report_is_asked())
        return;
    report_snapshot();
    int fd = report_kept_fd(&report.out);
    if (fd < 0)
        return;
    if (report.options->doctor)
        report_doctor(fd);
    if (report.options->stats)
        report_stats(fd);
}
