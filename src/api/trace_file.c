/* Files that lines are appended to: options trace_file, alloctrace_file, stats_file.
 *
 * What    %p in the name is the pid, %% a percent sign. Opened for appending, closed on exec, mode 0600, and
 *         not through a symbolic link: the name may lie in a directory that others write to.
 */
#include "api/trace_file.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include "base/fmt.h"
#include "base/options.h"
#include "os/os.h"

enum {
    TRACE_FILE_MODE = 0600,
    TRACE_FILE_STDERR = 2,
};

bool trace_file_expand(struct fmt *out, const char *pattern)
{
    bool has_pid = false;

    for (const char *c = pattern; *c != '\0'; c++) {
        if (c[0] == '%' && c[1] == 'p') {
            fmt_u64(out, (uint64_t)os_getpid());
            has_pid = true;
            c++;
        } else {
            fmt_char(out, *c);
            c += c[0] == '%' && c[1] == '%';
        }
    }
    return has_pid;
}

int trace_file_open(const char *pattern)
{
    char path[OPTION_PATH_MAX + 32];
    struct fmt out = fmt_init(path, sizeof(path));

    if (pattern[0] == '\0')
        return TRACE_FILE_STDERR;
    trace_file_expand(&out, pattern);
    fmt_cstr(&out);
    return (int)os_syscall(SYS_openat, AT_FDCWD, (long)path,
                           O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, TRACE_FILE_MODE, 0, 0);
}
