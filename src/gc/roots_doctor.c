/* See roots_doctor.h. */
#include "gc/roots_doctor.h"

#include "gc/roots_int.h"
#include "heap/heap.h"

/* Not in the table: ours, or nobody looked. */
static uintptr_t doctor_put_unlisted(struct fmt *f, uintptr_t addr, uintptr_t hi)
{
    struct heap_range own;
    bool has_own = heap_next_own(addr, &own) && own.lo < hi;

    if (has_own && own.lo <= addr) {
        fmt_str(f, "skipped: the library's own, but blocks are read where something leads to them");
        return own.hi < hi ? own.hi : hi;
    }
    fmt_str(f, roots.n_maps == 0 ? "skipped: no collection came as far as to look at it"
                                 : "skipped: newer than the last collection that looked");
    return has_own ? own.lo : hi;
}

static const char *doctor_no_root(const struct roots_map *m)
{
    switch ((enum roots_map_kind)m->kind) {
    case ROOTS_MAP_KERNEL:
        return "skipped: the kernel's";
    case ROOTS_MAP_RING:
        return "skipped: a ring of the kernel's, which holds pointers that nobody can list";
    case ROOTS_MAP_WITH_FILE:
        return "skipped: shared with a file";
    default:
        return "skipped: shared with a device, or with an object of the kernel's";
    }
}

/* ---- what lies in [lo, hi) by the zones of the last scan ---- */

struct doctor_parts {
    uint64_t stack, dead_stack, own, excluded;
};

static uint64_t doctor_cover(const struct roots_zones *z, enum roots_zone_kind kind, uintptr_t lo, uintptr_t hi)
{
    uint64_t n_bytes = 0;

    for (uintptr_t end; lo < hi; lo = end) {
        end = hi;
        if (roots_zones_at(z, lo, &end) == kind)
            n_bytes += end - lo;
    }
    return n_bytes;
}

static struct doctor_parts doctor_parts_of(uintptr_t lo, uintptr_t hi)
{
    struct doctor_parts parts = {
        .stack = doctor_cover(&roots.threads, ROOTS_ZONE_STACK, lo, hi),
        .dead_stack = doctor_cover(&roots.threads, ROOTS_ZONE_DEAD, lo, hi),
        .excluded = doctor_cover(&roots.excluded, ROOTS_ZONE_DEAD, lo, hi),
    };

    for (unsigned i = 0; i < HEAP_N_OWN_WORDS; i++) {
        struct heap_range own = heap_own_words(i);

        parts.own += doctor_cover(&roots.excluded, ROOTS_ZONE_DEAD, own.lo > lo ? own.lo : lo, own.hi < hi ? own.hi : hi);
    }
    parts.excluded -= parts.own;
    return parts;
}

/* ---- a root ---- */

static void doctor_put_rule(struct fmt *f, const struct roots_map *m, enum roots_zone_kind zone)
{
    static const char *const how[] = {
        [ROOTS_RULE_WORDS] = "",
        [ROOTS_RULE_PACKED] = " at every 4th byte",
        [ROOTS_RULE_STACK] = " as a stack",
        [ROOTS_RULE_CODE] = " at every byte",
    };

    fmt_str(f, "read");
    fmt_str(f, how[roots_maps_rule(m, zone)]);
    if (m->kind == ROOTS_MAP_DEVICE || !m->is_readable)
        fmt_str(f, " through the kernel");
    fmt_str(f, ": ");
}

static const char *doctor_nothing(const struct roots_map *m)
{
    if (roots_map_is_shared(m))
        return "skipped: shared memory, of which no page is there";
    if (m->kind == ROOTS_MAP_DEVICE)
        return "skipped: no page with content of its own that the kernel lets be read";
    return roots.has_pagemap ? "skipped: no page with content of its own" : "skipped: no page that can be read";
}

static const char *doctor_content(const struct roots_map *m)
{
    if (roots_map_is_shared(m))
        return " of shared memory";
    return roots.has_pagemap ? " with content of its own" : " that are there";
}

static void doctor_put_part(struct fmt *f, uint64_t n_bytes, const char *what)
{
    if (n_bytes == 0)
        return;
    if (f->buf[f->len - 1] != ' ')
        fmt_str(f, ", ");
    fmt_bytes(f, n_bytes);
    fmt_str(f, n_bytes < 1024 ? " bytes" : "");
    fmt_str(f, what);
}

/* Where all of it is left out, that is why it is skipped. */
static void doctor_put_root(struct fmt *f, const struct roots_map *m, uintptr_t lo, uintptr_t hi)
{
    struct doctor_parts parts = doctor_parts_of(lo, hi);

    if (m->n_read != 0) {
        doctor_put_rule(f, m, parts.stack + parts.dead_stack == hi - lo ? ROOTS_ZONE_STACK : ROOTS_ZONE_PLAIN);
        doctor_put_part(f, m->n_read, doctor_content(m));
        doctor_put_part(f, parts.stack, " of live stack");
    } else {
        fmt_str(f, parts.excluded + parts.own + parts.dead_stack >= hi - lo ? "skipped: " : doctor_nothing(m));
    }
    doctor_put_part(f, parts.dead_stack, " of unused stack");
    doctor_put_part(f, parts.own, " of the library's own words");
    doctor_put_part(f, parts.excluded, " excluded by gc_exclude_roots");
}

static void doctor_put_listed(struct fmt *f, const struct roots_map *m, uintptr_t lo, uintptr_t hi)
{
    if (!roots_map_is_root(m)) {
        fmt_str(f, doctor_no_root(m));
    } else if (m >= roots.maps + roots.n_scanned) {
        doctor_put_rule(f, m, ROOTS_ZONE_PLAIN);
        fmt_str(f, "not reached by the last collection");
    } else {
        doctor_put_root(f, m, lo, hi);
    }
}

uintptr_t roots_put_verdict(struct fmt *f, uintptr_t addr, uintptr_t hi)
{
    const struct roots_map *m = roots_maps_next(addr);

    if (m != NULL && m->lo > addr)
        hi = m->lo < hi ? m->lo : hi;
    if (m == NULL || m->lo > addr) {
        hi = doctor_put_unlisted(f, addr, hi);
    } else {
        hi = m->hi < hi ? m->hi : hi;
        doctor_put_listed(f, m, addr, hi);
    }
    doctor_put_part(f, roots_table_added(addr, hi), " read as added by gc_add_roots");
    return hi;
}

bool roots_reopen_in_clone(void)
{
    roots_finish();
    return roots_open();
}

uintptr_t roots_caller(void)
{
    return roots.caller_sp;
}
