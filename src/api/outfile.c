/* See outfile.h. */
#include "api/outfile.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include "base/options.h"

enum {
    OUTFILE_MODE = 0600,
    OUTFILE_PATH_MAX = OPTION_PATH_MAX + 64,
};

static pid_t outfile_first_pid; /* the process that read the options */

void outfile_init(void)
{
    outfile_first_pid = os_getpid();
}

bool outfile_expand(struct fmt *out, const char *pattern)
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

static int outfile_open(const char *path, int flags)
{
    return (int)os_syscall(SYS_openat, AT_FDCWD, (long)path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags,
                           OUTFILE_MODE, 0, 0);
}

struct os_output outfile_append(const char *pattern)
{
    char path[OUTFILE_PATH_MAX];
    struct fmt f = fmt_init(path, sizeof(path));
    struct os_output out = OS_OUTPUT_STDERR;

    if (pattern[0] == '\0')
        return out;
    outfile_expand(&f, pattern);
    os_output_keep(&out, outfile_open(fmt_cstr(&f), O_APPEND), true);
    return out;
}

int outfile_empty(const char *pattern)
{
    char path[OUTFILE_PATH_MAX];
    struct fmt f = fmt_init(path, sizeof(path));

    if (!outfile_expand(&f, pattern) && os_getpid() != outfile_first_pid) {
        fmt_char(&f, '.');
        fmt_u64(&f, (uint64_t)os_getpid());
    }
    return outfile_open(fmt_cstr(&f), O_TRUNC);
}

int outfile_create(const char *path)
{
    int fd = outfile_open(path, O_EXCL);

    if (fd >= 0)
        os_syscall(SYS_fchmod, fd, OUTFILE_MODE, 0, 0, 0, 0); /* whatever the umask took */
    return fd;
}
