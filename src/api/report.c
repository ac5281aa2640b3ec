/* What options stats, doctor and snapshot_file ask for when the process ends.
 *
 * What    a destructor of the library, which is the last to run: it stands before all others in the order of
 *         constructors. A process that ends by _exit, by a signal or by exec writes nothing.
 * Owns    the descriptor that the texts go to. It is a copy of stderr, because programs close their own on the way out
 *         (coreutils), or a file.
 */
#include "api/report.h"

#include "gcmalloc.h"

#include "api/alloc.h"
#include "api/control.h"
#include "api/outfile.h"
#include "os/os.h"

enum { REPORT_STDERR = 2 };

static struct {
    const struct options *options; /* NULL: not initialised */
    struct os_output out;
} report = {.out = OS_OUTPUT_NONE};

const struct options *report_options(void)
{
    return report.options;
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
    if (!options->stats && !options->doctor)
        return;
    if (options->stats_file[0] != '\0')
        report.out = outfile_append(options->stats_file);
    else
        os_output_keep(&report.out, REPORT_STDERR, false);
}

static void report_snapshot(void)
{
    static const char line[] = "libgcmalloc: option snapshot_file: no snapshot could be written\n";
    char path[OPTION_PATH_MAX + 32];
    struct fmt f = fmt_init(path, sizeof(path));

    if (!report.options->has_paths || report.options->snapshot_file[0] == '\0')
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
    int fd = os_output_fd(&report.out);
    if (fd < 0)
        return;
    if (report.options->doctor)
        report_doctor(fd);
    if (report.options->stats)
        report_stats(fd);
}
