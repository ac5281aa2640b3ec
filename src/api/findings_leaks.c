/* The leak report, as text and as JSON.
 *
 * Text    libgcmalloc: 3 blocks with 120 bytes leaked: unreachable in two collections and never freed
 *
 *         leak: 96 bytes in 2 blocks, lost directly, allocated from
 *             #0 plant_direct (/usr/bin/prog+0x11d4)
 *             #1 (/usr/lib/libc.so.6+0x27249)
 *
 *         libgcmalloc: 1 block with 8 bytes suppressed
 * Places  MODULE+OFFSET as addr2line -e MODULE OFFSET takes them; the symbol before it where the module's file has one.
 * JSON    {"blocks":N,"bytes":N,"suppressed_blocks":N,"suppressed_bytes":N,"not_recorded":N,"leaks":[{"kind":"direct" or
 *         "indirect","blocks":N,"bytes":N,"stack":[{"symbol":S,"module":S,"offset":"0x..."}]}]}
 * A leak is indirect if another leaked block points to it; those of a ring are all indirect. Largest first.
 */
#include "api/findings.h"

#include <errno.h>
#include <string.h>
#include "api/alloc.h"
#include "api/findings_out.h"
#include "base/sort.h"
#include "base/suppress.h"
#include "gc/tracked.h"
#include "heap/meta.h"
#include "heap/site.h"
#include "os/critical_inl.h"
#include "os/os.h"
#include "os/probe.h"

enum { LEAKS_SUPPRESSIONS_MAX = 1 << 20, LEAKS_TRIES = 20, LEAKS_PAUSE_NS = 20 * 1000 * 1000 };

static struct {
    char *suppressions; /* the file's text, "" none */
} leaks = {.suppressions = (char[]){""}};

struct leaks_entry {
    const struct site *site;
    struct site_count count;
    bool is_indirect;
};
struct leaks_list {
    struct leaks_entry *entries;
    size_t n, max;
    struct site_count sum, suppressed;
};

/* ---- memory of ours: a report must not change what it reports ---- */

static void *leaks_alloc(size_t size_bytes)
{
    os_critical_enter();
    void *p = meta_alloc(size_bytes);
    os_critical_leave();
    api_exit_slow();
    return p;
}

static void leaks_free(void *p, size_t size_bytes)
{
    os_critical_enter();
    meta_free(p, size_bytes);
    os_critical_leave();
    api_exit_slow();
}

/* ---- suppressions ---- */

static long leaks_read_file(const char *path, char *text)
{
    long n, len = 0;
    int fd = os_probe_open(path);

    if (fd < 0)
        return fd;
    while ((n = os_probe_read(fd, text + len, (size_t)(LEAKS_SUPPRESSIONS_MAX - 1 - len))) > 0)
        len += n;
    os_probe_close(fd);
    return n < 0 ? n : len;
}

void findings_leaks_read_suppressions(const char *path)
{
    static const char line[] = "libgcmalloc: option suppressions: the file cannot be read\n";
    char *text;

    if (path[0] == '\0')
        return;
    text = leaks_alloc(LEAKS_SUPPRESSIONS_MAX);
    if (text != NULL && leaks_read_file(path, text) >= 0)
        leaks.suppressions = text;
    else
        os_write_all(2, line, sizeof(line) - 1);
}

static bool leaks_pattern_matches(struct findings_out *out, const struct suppress_pattern *pattern, const struct site *s)
{
    for (uint32_t i = 0; i < s->n_pcs; i++) {
        struct findings_place place = findings_place(out, s->pcs[i]);
        if (suppress_matches(pattern, place.symbol) || suppress_matches(pattern, place.module))
            return true;
    }
    return false;
}

static bool leaks_is_suppressed(struct findings_out *out, const struct site *s)
{
    struct suppress_pattern pattern;

    for (const char *text = leaks.suppressions; suppress_next(&text, &pattern);)
        if (leaks_pattern_matches(out, &pattern, s))
            return true;
    return false;
}

/* ---- what there is ---- */

static struct site_count leaks_of(const struct site *s, enum site_figure now, enum site_figure taken)
{
    struct site_count a = site_get(s, now), b = site_get(s, taken);

    return (struct site_count){a.n + b.n, a.bytes + b.bytes};
}

static void leaks_add(struct findings_out *out, struct leaks_list *l, const struct site *s, bool is_indirect)
{
    struct site_count count = is_indirect ? leaks_of(s, SITE_LEAKED_INDIRECT, SITE_TAKEN_INDIRECT)
                                          : leaks_of(s, SITE_LEAKED, SITE_TAKEN);

    if (count.n == 0)
        return;
    struct site_count *sum = leaks_is_suppressed(out, s) ? &l->suppressed : &l->sum;
    sum->n += count.n;
    sum->bytes += count.bytes;
    if (sum == &l->sum && l->n < l->max)
        l->entries[l->n++] = (struct leaks_entry){s, count, is_indirect};
}

static bool leaks_is_before(const void *a, const void *b)
{
    return ((const struct leaks_entry *)a)->count.bytes > ((const struct leaks_entry *)b)->count.bytes;
}

static bool leaks_collect(struct findings_out *out, struct leaks_list *l)
{
    const struct site *newest = site_newest();

    *l = (struct leaks_list){0};
    for (const struct site *s = newest; s != NULL; s = s->older)
        l->max += 2;
    l->entries = leaks_alloc((l->max + 1) * sizeof(*l->entries));
    if (l->entries == NULL)
        return false;
    for (const struct site *s = newest; s != NULL; s = s->older) {
        leaks_add(out, l, s, false);
        leaks_add(out, l, s, true);
    }
    sort_items(l->entries, l->n, sizeof(*l->entries), leaks_is_before); /* largest first */
    return true;
}

/* ---- text ---- */

static void leaks_put_count(struct fmt *f, uint64_t n, const char *one, const char *many)
{
    fmt_u64(f, n);
    fmt_char(f, ' ');
    fmt_str(f, n == 1 ? one : many);
}

static void leaks_put_sum(struct fmt *f, struct site_count c)
{
    fmt_str(f, "libgcmalloc: ");
    leaks_put_count(f, c.n, "block", "blocks");
    fmt_str(f, " with ");
    leaks_put_count(f, c.bytes, "byte", "bytes");
}

static void leaks_put_place(struct findings_out *out, uint32_t i, uintptr_t pc)
{
    struct findings_place place = findings_place(out, pc);
    struct fmt *f = findings_out_text(out);

    fmt_str(f, "    #");
    fmt_u64(f, i);
    fmt_char(f, ' ');
    if (place.symbol[0] != '\0') {
        fmt_plain(f, place.symbol);
        fmt_char(f, ' ');
    }
    fmt_char(f, '(');
    fmt_plain(f, place.module[0] != '\0' ? place.module : "?");
    fmt_char(f, '+');
    fmt_hex(f, place.offset);
    fmt_str(f, ")\n");
}

static void leaks_put_entry(struct findings_out *out, const struct leaks_entry *e)
{
    struct fmt *f = findings_out_text(out);

    fmt_str(f, "\nleak: ");
    leaks_put_count(f, e->count.bytes, "byte", "bytes");
    fmt_str(f, " in ");
    leaks_put_count(f, e->count.n, "block", "blocks");
    fmt_str(f, e->is_indirect ? ", lost through another" : ", lost directly");
    fmt_str(f, ", allocated from\n");
    for (uint32_t i = 0; i < e->site->n_pcs; i++)
        leaks_put_place(out, i, e->site->pcs[i]);
}

static void leaks_put_text(struct findings_out *out, const struct leaks_list *l)
{
    struct fmt *f = findings_out_text(out);

    leaks_put_sum(f, l->sum);
    fmt_str(f, " leaked: unreachable in two collections and never freed\n");
    for (size_t i = 0; i < l->n; i++)
        leaks_put_entry(out, &l->entries[i]);
    f = findings_out_text(out);
    if (l->suppressed.n != 0) {
        leaks_put_sum(f, l->suppressed);
        fmt_str(f, " suppressed\n");
    }
    if (tracked_n_lost() == 0)
        return;
    fmt_str(f, "libgcmalloc: for want of memory, blocks not recorded: ");
    fmt_u64(f, tracked_n_lost());
    fmt_char(f, '\n');
}

/* ---- JSON ---- */

static void leaks_put_number(struct fmt *f, const char *key, uint64_t value)
{
    fmt_json(f, key);
    fmt_char(f, ':');
    fmt_u64(f, value);
    fmt_char(f, ',');
}

static void leaks_put_json_place(struct findings_out *out, uintptr_t pc)
{
    struct findings_place place = findings_place(out, pc);
    struct fmt *f = findings_out_text(out);

    fmt_str(f, "{\"symbol\":");
    fmt_json(f, place.symbol);
    fmt_str(f, ",\"module\":");
    fmt_json(f, place.module);
    fmt_str(f, ",\"offset\":\"");
    fmt_hex(f, place.offset);
    fmt_str(f, "\"}");
}

static void leaks_put_json_entry(struct findings_out *out, const struct leaks_entry *e)
{
    struct fmt *f = findings_out_text(out);

    fmt_str(f, e->is_indirect ? "\n{\"kind\":\"indirect\"," : "\n{\"kind\":\"direct\",");
    leaks_put_number(f, "blocks", e->count.n);
    leaks_put_number(f, "bytes", e->count.bytes);
    fmt_str(f, "\"stack\":[");
    for (uint32_t i = 0; i < e->site->n_pcs; i++) {
        if (i != 0)
            fmt_char(findings_out_text(out), ',');
        leaks_put_json_place(out, e->site->pcs[i]);
    }
    fmt_str(findings_out_text(out), "]}");
}

static void leaks_put_json(struct findings_out *out, const struct leaks_list *l)
{
    struct fmt *f = findings_out_text(out);

    fmt_char(f, '{');
    leaks_put_number(f, "blocks", l->sum.n);
    leaks_put_number(f, "bytes", l->sum.bytes);
    leaks_put_number(f, "suppressed_blocks", l->suppressed.n);
    leaks_put_number(f, "suppressed_bytes", l->suppressed.bytes);
    leaks_put_number(f, "not_recorded", tracked_n_lost());
    fmt_str(f, "\"leaks\":[");
    for (size_t i = 0; i < l->n; i++) {
        if (i != 0)
            fmt_char(findings_out_text(out), ',');
        leaks_put_json_entry(out, &l->entries[i]);
    }
    fmt_str(findings_out_text(out), "]}\n");
}

/* ---- all of it ---- */

static enum cycle_skip leaks_collect_once(void)
{
    static uint32_t nobody_wakes;
    enum cycle_skip skip = api_collect_after_others(CYCLE_EXPLICIT);

    for (int i = 0; skip == SKIP_NOT_STOPPED && i < LEAKS_TRIES; i++) {
        os_futex_wait(&nobody_wakes, 0, LEAKS_PAUSE_NS);
        skip = api_collect_after_others(CYCLE_EXPLICIT);
    }
    return skip;
}

/* A block is called leaked by its second cycle. On a machine with much to do a thread may not stand in time: whoever asked for
 * a report rather waits than goes without. */
static enum cycle_skip leaks_settle(void)
{
    enum cycle_skip skip = leaks_collect_once();

    if (skip == SKIP_NONE)
        skip = leaks_collect_once();
    api_exit_slow();
    return skip;
}

static void leaks_refuse(struct findings_out *out, bool is_json, enum cycle_skip skip)
{
    struct fmt *f = findings_out_text(out);

    fmt_str(f, is_json ? "{\"error\":\"" : "libgcmalloc: no leak report: ");
    fmt_str(f, cycle_skip_name(skip));
    fmt_str(f, is_json ? "\"}\n" : "\n");
}

static int leaks_put(struct findings_out *out, bool is_json, struct site_count *sum)
{
    struct leaks_list list;

    if (!leaks_collect(out, &list))
        return ENOMEM;
    if (is_json)
        leaks_put_json(out, &list);
    else if (list.sum.n != 0 || list.suppressed.n != 0 || tracked_n_lost() != 0)
        leaks_put_text(out, &list);
    leaks_free(list.entries, (list.max + 1) * sizeof(*list.entries));
    *sum = list.sum;
    return 0;
}

struct findings_leaks_result findings_leaks(struct findings_out *out, bool is_json)
{
    enum cycle_skip skip = leaks_settle();
    struct site_count sum = {0, 0};
    int error = 0, write_error;

    if (skip != SKIP_NONE) {
        leaks_refuse(out, is_json, skip);
        error = ECANCELED;
    } else {
        error = leaks_put(out, is_json, &sum);
    }
    write_error = findings_out_finish(out);
    return (struct findings_leaks_result){sum.n, sum.bytes, error != 0 ? error : write_error};
}
