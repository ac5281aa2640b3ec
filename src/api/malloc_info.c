/* Questions to the allocator, and requests that it may take or leave.
 *
 * What    mallinfo, mallinfo2, mallopt, malloc_trim, malloc_stats, malloc_info: glibc's interfaces, our
 *         figures.
 * Locks   none is held while stdio or the kernel writes.
 */
#include <errno.h>
#include <limits.h>
#include <malloc.h> /* FILE, too */
#include "api/alloc.h"
#include "base/fmt.h"
#include "os/critical_inl.h"
#include "os/os.h"

struct info_figures {
    size_t committed_bytes, used_bytes, purged_bytes;
};

static struct info_figures info_get(void)
{
    struct info_figures f = {0, 0, 0};

    if (!api_enter_slow())
        return f;
    os_critical_enter();
    f.committed_bytes = heap_committed_bytes();
    f.used_bytes = heap_use_lately(os_clock_ns()).used_bytes;
    f.purged_bytes = heap_purged_bytes();
    os_critical_leave();
    api_exit_slow();
    return f;
}

EXPORT struct mallinfo2 mallinfo2(void)
{
    struct info_figures f = info_get();
    size_t resident_bytes = f.committed_bytes - f.purged_bytes;

    return (struct mallinfo2){
        .arena = resident_bytes,
        .uordblks = f.used_bytes,
        .fordblks = resident_bytes > f.used_bytes ? resident_bytes - f.used_bytes : 0,
    };
}

static int info_clip(size_t bytes)
{
    return bytes > INT_MAX ? INT_MAX : (int)bytes;
}

struct mallinfo malloc_info_clipped(void)
{
    struct mallinfo2 m = mallinfo2();

    return (struct mallinfo){
        .arena = info_clip(m.arena),
        .uordblks = info_clip(m.uordblks),
        .fordblks = info_clip(m.fordblks),
    };
}

EXPORT struct mallinfo mallinfo(void)
{
    return malloc_info_clipped();
}

/* No parameter of ptmalloc means anything here; a program that sets one is served all the same. */
EXPORT int mallopt(int param, int value)
{
    (void)param;
    (void)value;
    return 1;
}

EXPORT int malloc_trim(size_t keep_bytes)
{
    size_t n_bytes = 0;

    if (!api_enter_slow())
        return 0;
    os_critical_enter();
    n_bytes = heap_trim(keep_bytes);
    os_critical_leave();
    api_exit_slow();
    return n_bytes != 0;
}

EXPORT void malloc_stats(void)
{
    struct info_figures f = info_get();
    char text[256];
    struct fmt out = fmt_init(text, sizeof(text));

    fmt_str(&out, "libgcmalloc:");
    fmt_field(&out, "committed_bytes", f.committed_bytes);
    fmt_field(&out, "purged_bytes", f.purged_bytes);
    fmt_field(&out, "used_bytes", f.used_bytes);
    fmt_field(&out, "cycles", cycle_count());
    fmt_char(&out, '\n');
    os_write_all(2, text, out.len);
}

static void info_put_element(struct fmt *out, const char *head, size_t bytes)
{
    fmt_str(out, head);
    fmt_u64(out, bytes);
    fmt_str(out, "\"/>\n");
}

EXPORT int malloc_info(int options, FILE *stream)
{
    struct info_figures f = info_get();
    char text[512];
    struct fmt out = fmt_init(text, sizeof(text));

    if (options != 0)
        return EINVAL;
    fmt_str(&out, "<malloc version=\"1\">\n");
    info_put_element(&out, "<system type=\"current\" size=\"", f.committed_bytes);
    info_put_element(&out, "<total type=\"used\" size=\"", f.used_bytes);
    info_put_element(&out, "<aspace type=\"purged\" size=\"", f.purged_bytes);
    fmt_str(&out, "</malloc>\n");
    fputs(fmt_cstr(&out), stream);
    return 0;
}
