/* The gc_* functions that tell where blocks come from; contract in include/gcmalloc.h.
 *
 * Not here  what is written: findings_profile.c, findings_leaks.c; what is recorded: watch.c.
 */
#include "gcmalloc.h"

#include <errno.h>
#include "api/alloc.h"
#include "api/findings.h"
#include "api/findings_out.h"
#include "api/outfile.h"
#include "api/watch.h"
#include "os/probe.h"

#define PROFILE_RATE_MAX ((size_t)1 << 40)

_Static_assert((int)GC_PROFILE_LIVE == FINDINGS_LIVE && (int)GC_PROFILE_UNREACHABLE == FINDINGS_UNREACHABLE,
               "the public kinds are the report's");

EXPORT int gc_set_profile_rate(size_t mean_bytes)
{
    if (mean_bytes > PROFILE_RATE_MAX)
        return EINVAL;
    if (!api_enter_slow())
        return ENOMEM;
    watch_set_profile_rate(mean_bytes);
    api_exit_slow();
    return 0;
}

EXPORT int gc_profile_write_fd(int fd, int kind)
{
    if (kind != GC_PROFILE_LIVE && kind != GC_PROFILE_UNREACHABLE)
        return EINVAL;
    return findings_profile(fd, (enum findings_kind)kind);
}

EXPORT int gc_leaks_write_fd(int fd, int format)
{
    struct findings_out out;

    if (format != GC_LEAKS_TEXT && format != GC_LEAKS_JSON)
        return EINVAL;
    if (!api_enter_slow())
        return ENOMEM;
    findings_out_init(&out, fd, FINDINGS_AT_EASE);
    return findings_leaks(&out, format == GC_LEAKS_JSON).error;
}

static int profile_write_path(const char *path, int (*write_fd)(int fd, int how), int how)
{
    int fd = path != NULL ? outfile_empty(path) : -EINVAL;

    if (fd < 0)
        return -fd;
    int error = write_fd(fd, how);
    os_probe_close(fd);
    return error;
}

EXPORT int gc_profile_write(const char *path, int kind)
{
    return profile_write_path(path, gc_profile_write_fd, kind);
}

EXPORT int gc_leaks_write(const char *path, int format)
{
    return profile_write_path(path, gc_leaks_write_fd, format);
}
