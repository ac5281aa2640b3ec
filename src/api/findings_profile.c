/* The heap profile, in the text format of gperftools that pprof, google-pprof and jeprof read:
 *
 *     heap profile:  LIVE_N: LIVE_BYTES [ALL_N: ALL_BYTES] @ heap_v2/RATE
 *     N: BYTES [ALL_N: ALL_BYTES] @ 0xPC 0xPC ...            one line a site, innermost call first
 *
 *     MAPPED_LIBRARIES:
 *     (/proc/thread-self/maps)
 *
 * Figures are those of the samples; the readers scale them by RATE. Of live profiles the first pair is what is in use and was
 * not found unreachable by the last collection, the second all that was ever allocated; of unreachable ones the first is what
 * the last collection found, the second all that any collection found.
 */
#include "api/findings.h"

#include "api/findings_out.h"
#include "api/watch.h"
#include "heap/site.h"
#include "os/probe.h"

struct profile_line {
    struct site_count now, all;
};

static struct site_count profile_minus(struct site_count a, struct site_count b)
{
    /* Figures are read one after another while threads run. */
    return (struct site_count){a.n > b.n ? a.n - b.n : 0, a.bytes > b.bytes && a.n > b.n ? a.bytes - b.bytes : 0};
}

static struct profile_line profile_of(const struct site *s, enum findings_kind kind)
{
    struct site_count unreachable = site_get(s, SITE_UNREACHABLE);

    if (kind == FINDINGS_UNREACHABLE)
        return (struct profile_line){unreachable, site_get(s, SITE_EVER_UNREACHABLE)};
    struct site_count freed = site_get(s, SITE_FREED), all = site_get(s, SITE_ALLOCATED);
    return (struct profile_line){profile_minus(profile_minus(all, freed), unreachable), all};
}

static void profile_put(struct fmt *f, const struct profile_line *l)
{
    fmt_u64(f, l->now.n);
    fmt_str(f, ": ");
    fmt_u64(f, l->now.bytes);
    fmt_str(f, " [");
    fmt_u64(f, l->all.n);
    fmt_str(f, ": ");
    fmt_u64(f, l->all.bytes);
    fmt_str(f, "] @");
}

static void profile_put_head(struct findings_out *out, enum findings_kind kind)
{
    struct profile_line sum = {{0, 0}, {0, 0}};
    struct fmt *f = findings_out_text(out);

    for (const struct site *s = site_newest(); s != NULL; s = s->older) {
        struct profile_line l = profile_of(s, kind);
        sum.now.n += l.now.n;
        sum.now.bytes += l.now.bytes;
        sum.all.n += l.all.n;
        sum.all.bytes += l.all.bytes;
    }
    fmt_str(f, "heap profile: ");
    profile_put(f, &sum);
    fmt_str(f, " heap_v2/");
    fmt_u64(f, watch_written_rate());
    fmt_char(f, '\n');
}

/* The readers take one off each address but the first, to come from a return address to its call. */
static void profile_put_site(struct findings_out *out, const struct site *s, enum findings_kind kind)
{
    struct profile_line l = profile_of(s, kind);
    struct fmt *f = findings_out_text(out);

    if (l.now.n == 0 && l.all.n == 0)
        return;
    profile_put(f, &l);
    for (uint32_t i = 0; i < s->n_pcs; i++) {
        fmt_char(f, ' ');
        fmt_hex(f, s->pcs[i] - (i == 0));
    }
    fmt_char(f, '\n');
}

static void profile_put_maps(struct findings_out *out)
{
    char piece[1024];
    int fd = os_probe_open("/proc/thread-self/maps");

    if (fd < 0)
        return;
    for (long n; (n = os_probe_read(fd, piece, sizeof(piece))) > 0;)
        fmt_mem(findings_out_text(out), piece, (size_t)n);
    os_probe_close(fd);
}

int findings_profile(int fd, enum findings_kind kind)
{
    struct findings_out out;

    findings_out_init(&out, fd, FINDINGS_AT_EASE);
    profile_put_head(&out, kind);
    for (const struct site *s = site_newest(); s != NULL; s = s->older)
        profile_put_site(&out, s, kind);
    fmt_str(findings_out_text(&out), "\nMAPPED_LIBRARIES:\n");
    profile_put_maps(&out);
    return findings_out_finish(&out);
}
