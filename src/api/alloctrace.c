/* The trace of allocations.
 *
 *     site 7 /usr/bin/prog+0x11d4 /usr/bin/prog+0x1290 /usr/lib/libc.so.6+0x27249
 *     alloc 0x140a2c0010 24 thread 4711 site 7
 *     free 0x140a2c0010 thread 4712 site 7
 *
 * site    before the first line that names it: its calls, innermost first, as module+offset for addr2line -e MODULE OFFSET;
 *         an address without a module as it is. A path with a blank in it has the blank.
 * alloc   a block, the bytes asked for. free: its end; the site is that of the allocation. realloc is an allocation and a
 *         free where it gives another block, else nothing.
 * Each line is one write at the end of the file, so lines of threads do not mix. A block that the collector takes has no free
 * line.
 * Not here  which allocations are told: watch.c.
 */
#include "api/alloctrace.h"

#include <stdbool.h>
#include "api/findings_out.h"
#include "api/outfile.h"
#include "base/compiler.h"
#include "base/fmt.h"
#include "os/os.h"

enum { ALLOCTRACE_LINE_MAX = 160, ALLOCTRACE_SITE_MAX = 4096 };

static struct {
    const char *pattern; /* "" stderr */
    struct os_output out;
} alloctrace = {.out = OS_OUTPUT_NONE};

static void alloctrace_put_line(const struct fmt *f)
{
    int fd = os_output_fd(&alloctrace.out);

    if (fd >= 0)
        os_write_all(fd, f->buf, f->len);
}

static void alloctrace_put_thread(struct fmt *f, const struct site *site)
{
    fmt_str(f, " thread ");
    fmt_i64(f, os_gettid());
    fmt_str(f, " site ");
    fmt_u64(f, site->id);
    fmt_end_line(f);
    alloctrace_put_line(f);
}

static void alloctrace_put_site(const struct site *site)
{
    char line[ALLOCTRACE_SITE_MAX];
    struct fmt f = fmt_init(line, sizeof(line));

    fmt_str(&f, "site ");
    fmt_u64(&f, site->id);
    for (uint32_t i = 0; i < site->n_pcs; i++) {
        struct findings_place place = findings_place_nolock(site->pcs[i]);
        fmt_char(&f, ' ');
        if (place.module[0] != '\0') {
            fmt_plain(&f, place.module);
            fmt_char(&f, '+');
        }
        fmt_hex(&f, place.offset);
    }
    fmt_end_line(&f);
    alloctrace_put_line(&f);
}

void alloctrace_allocated(uintptr_t start, size_t size_bytes, struct site *site)
{
    char line[ALLOCTRACE_LINE_MAX];
    struct fmt f = fmt_init(line, sizeof(line));

    if (LIKELY(alloctrace.out.fd < 0))
        return;
    if (__atomic_load_n(&site->is_announced, __ATOMIC_ACQUIRE) == 0) { /* two threads may both tell */
        alloctrace_put_site(site);
        __atomic_store_n(&site->is_announced, 1, __ATOMIC_RELEASE);
    }
    fmt_str(&f, "alloc ");
    fmt_hex(&f, start);
    fmt_char(&f, ' ');
    fmt_u64(&f, size_bytes);
    alloctrace_put_thread(&f, site);
}

void alloctrace_freed(uintptr_t start, const struct site *site)
{
    char line[ALLOCTRACE_LINE_MAX];
    struct fmt f = fmt_init(line, sizeof(line));

    if (LIKELY(alloctrace.out.fd < 0))
        return;
    fmt_str(&f, "free ");
    fmt_hex(&f, start);
    alloctrace_put_thread(&f, site);
}

void alloctrace_start(const char *pattern)
{
    static const char line[] = "libgcmalloc: option alloctrace_file: the file cannot be opened\n";

    alloctrace.pattern = pattern;
    alloctrace.out = outfile_append(pattern);
    if (alloctrace.out.fd < 0)
        os_write_all(2, line, sizeof(line) - 1);
}

/* A file with the process's number in its name is the child's own, and has to be told of sites anew. */
void alloctrace_fork_child(void)
{
    char name[8];
    struct fmt f = fmt_init(name, sizeof(name));

    if (alloctrace.out.fd < 0 || !outfile_expand(&f, alloctrace.pattern))
        return;
    os_output_close(&alloctrace.out);
    alloctrace.out = outfile_append(alloctrace.pattern);
    for (struct site *s = site_newest(); s != NULL; s = s->older)
        s->is_announced = 0;
}
