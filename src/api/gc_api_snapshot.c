/* gc_snapshot_write; contract in include/gcmalloc.h. */
#include "gcmalloc.h"

#include <errno.h>
#include <string.h>
#include "api/alloc.h"
#include "api/outfile.h"
#include "api/report.h"
#include "base/fmt.h"
#include "base/options.h"
#include "gc/snapshot.h"
#include "os/os.h"
#include "os/probe.h"

#define SNAPSHOT_PART ".part"

static int snapshot_run(const struct snapshot_request *r)
{
    snapshot_begin(r);
    api_collect_after_others(CYCLE_INQUIRY);
    return snapshot_end(true);
}

/* A part that an earlier process left behind, killed while it wrote, goes. */
static int snapshot_open(const char *part)
{
    os_file_remove(part);
    return outfile_create(part);
}

EXPORT int gc_snapshot_write(const char *path)
{
    char part[OPTION_PATH_MAX + sizeof(SNAPSHOT_PART)];
    struct fmt f = fmt_init(part, sizeof(part));
    struct snapshot_request r = {.part = part, .path = path};
    int error;

    if (path == NULL || path[0] == 0 || strlen(path) >= OPTION_PATH_MAX)
        return EINVAL;
    if (!os_file_may_be_replaced(path))
        return EEXIST;
    if (!api_enter_slow() || api_state.is_passthrough)
        return ECANCELED;
    if (!snapshot_claim())
        return EAGAIN;
    fmt_str(&f, path);
    fmt_str(&f, SNAPSHOT_PART);
    fmt_cstr(&f);
    r.fd = snapshot_open(part);
    if (r.fd < 0) {
        snapshot_end(false);
        return -r.fd;
    }
    error = snapshot_run(&r);
    if (error != 0)
        os_file_remove(part);
    os_probe_close(r.fd);
    api_exit_slow();
    return error;
}
