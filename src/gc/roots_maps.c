/* The mappings of the process as roots; see roots_int.h.
 *
 * Two steps: the list is read whole into a table, so that it can be looked up and found complete before anything is
 * marked; then each mapping's pages with content are read, by the rule of the zone they lie in.
 *
 *     private                                       pages with content
 *     private, of /dev, /sys, /proc                 the same through the kernel, which refuses device registers
 *     shared, name gone or never there              whole: anonymous memory, memory files, System V segments, /dev/shm,
 *                                                   files that were deleted (libffi writes closures to such)
 *     io_uring, AIO rings                           the kernel holds pointers that nobody can list: no cycle
 *     other shared files and devices, vdso, vvar    not roots
 *     our own, wherever it lies in our window       not in the table
 */
#include "gc/roots_int.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "gc/disguise.h"
#include "heap/heap.h"

#define MAPS_DELETED " (deleted)"

/* ---- what a mapping is --------------------------------------------------------------------------------------- */

static bool maps_name_begins(const struct os_map *m, const char *prefix)
{
    return m->name[0] == prefix[0] && m->name[1] == prefix[1] && strncmp(m->name, prefix, strlen(prefix)) == 0;
}

static bool maps_name_ends(const struct os_map *m, const char *suffix)
{
    size_t len = strlen(m->name);
    size_t suffix_len = strlen(suffix);

    return len >= suffix_len && strcmp(m->name + len - suffix_len, suffix) == 0;
}

static bool maps_is_kernels(const struct os_map *m)
{
    return maps_name_begins(m, "[vvar") || maps_name_begins(m, "[vdso") || maps_name_begins(m, "[vsyscall");
}

static const struct {
    const char *begins;
    unsigned disguise;
} maps_libraries[] = {
    {"/libfontconfig", DISGUISE_DISTANCE},
    {"/libpython", DISGUISE_DIGITS},
    {"/python", DISGUISE_DIGITS},
    {"/libluajit", DISGUISE_SEGMENT},
    {"/libtexluajit", DISGUISE_SEGMENT},
    {"/fiddle.so", DISGUISE_FIXNUM},
};

/* Libraries that refer to blocks by other words than addresses. */
static void maps_note_library(const struct os_map *m)
{
    const char *slash = m->is_executable ? strrchr(m->name, '/') : NULL;

    if (slash == NULL)
        return;
    for (size_t i = 0; i < N_ELEMENTS(maps_libraries); i++)
        if (strncmp(slash, maps_libraries[i].begins, strlen(maps_libraries[i].begins)) == 0)
            roots.disguises |= maps_libraries[i].disguise;
    roots.has_hider |= strncmp(slash, "/libswipl", strlen("/libswipl")) == 0;
}

static bool maps_holds_kernel_pointers(const struct os_map *m)
{
    return maps_name_begins(m, "anon_inode:[io_uring]") || maps_name_begins(m, "/[aio]");
}

/* /dev/shm is by convention the mount point of tmpfs, which is the same page cache. */
static bool maps_is_shmem(const struct os_map *m)
{
    uint64_t device = roots_kernel_shmem_device();

    return (device != 0 && m->dev == device) || maps_name_begins(m, "/dev/shm/");
}

/* May be something else than memory: it is read through the kernel, which refuses what has side effects. */
static bool maps_may_be_device(const struct os_map *m)
{
    if (maps_name_begins(m, "/dev/zero") || maps_is_shmem(m))
        return false;
    return maps_name_begins(m, "/dev/") || maps_name_begins(m, "/sys/") || maps_name_begins(m, "/proc/") ||
           maps_name_begins(m, "anon_inode:");
}

static enum roots_map_kind maps_shared_kind(const struct os_map *m)
{
    if (maps_name_ends(m, MAPS_DELETED) || maps_name_begins(m, "/memfd:") || maps_name_begins(m, "/SYSV") ||
        maps_name_begins(m, "[anon_shmem:"))
        return ROOTS_MAP_SHARED;
    return m->name[0] == '/' && !maps_may_be_device(m) ? ROOTS_MAP_WITH_FILE : ROOTS_MAP_WITH_DEVICE;
}

static enum roots_map_kind maps_kind(const struct os_map *m)
{
    if (maps_is_kernels(m))
        return ROOTS_MAP_KERNEL;
    if (maps_holds_kernel_pointers(m))
        return ROOTS_MAP_RING;
    if (maps_is_shmem(m))
        return ROOTS_MAP_SHMEM; /* a private mapping too: page tables call pages that it did not write the file's */
    if (m->is_shared)
        return maps_shared_kind(m);
    return maps_may_be_device(m) ? ROOTS_MAP_DEVICE : ROOTS_MAP_PRIVATE;
}

/* ---- the table ----------------------------------------------------------------------------------------------- */

/* The zeroed part of a data segment is an anonymous mapping right behind the file's, or several, where the program gave parts of
 * it other permissions; with brk's memory it may be one, which has a name then. */
static bool maps_is_data(const struct os_map *m, uintptr_t lo)
{
    const struct roots_map *last = roots.n_maps != 0 ? &roots.maps[roots.n_maps - 1] : NULL;

    if (m->is_shared || m->inode != 0)
        return !m->is_shared;
    return last != NULL && last->is_data && last->hi == lo && (m->name[0] == '\0' || maps_name_begins(m, "[heap]"));
}

static bool maps_add(const struct os_map *m, uintptr_t lo, uintptr_t hi)
{
    if (lo >= hi)
        return true;
    if (roots.n_maps == roots.max_maps)
        return roots_fail(SKIP_NO_MEMORY);
    roots.maps[roots.n_maps] = (struct roots_map){
        .lo = lo,
        .hi = hi,
        .kind = (uint8_t)maps_kind(m),
        .is_readable = m->is_readable && !maps_may_be_device(m),
        .is_anonymous = m->inode == 0 && m->dev == 0,
        .is_code = m->is_executable,
        .is_data = maps_is_data(m, lo),
    };
    roots.n_maps++;
    return true;
}

/* What lies between our pieces is the program's, also in our window: a runtime that places its heap at random may have come
 * to lie there, and a mapping of ours may have become one with a foreign neighbour. */
static bool maps_collect_one(const struct os_map *m, void *ctx)
{
    struct heap_range own;
    uintptr_t at = m->lo;

    (void)ctx;
    maps_note_library(m);
    roots.has_uring |= maps_holds_kernel_pointers(m);
    while (at < m->hi && heap_next_own(at, &own) && own.lo < m->hi) {
        if (!maps_add(m, at, own.lo))
            return false;
        at = own.hi;
    }
    return maps_add(m, at, m->hi);
}

bool roots_maps_collect(void)
{
    int err;

    roots.n_maps = 0;
    err = os_maps_walk(roots.text, ROOTS_TEXT_BYTES, maps_collect_one, NULL);
    if (err != 0 || roots.n_maps == 0)
        return roots_fail(SKIP_NO_PROC);
    return roots.skip == SKIP_NONE;
}

struct roots_map *roots_maps_next(uintptr_t addr)
{
    size_t lo = 0;
    size_t hi = roots.n_maps;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (roots.maps[mid].hi > addr)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo < roots.n_maps ? &roots.maps[lo] : NULL;
}

struct roots_map *roots_maps_find(uintptr_t addr)
{
    struct roots_map *m = roots_maps_next(addr);

    return m != NULL && m->lo <= addr ? m : NULL;
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

/* Device registers are no memory: the kernel refuses to read them for us, and they are no root. */
static bool maps_feed_device(enum roots_rule rule, uintptr_t lo, uintptr_t hi)
{
    char byte;
    long n = os_mem_read(lo, &byte, 1);

    return (n == -EIO && os_mem_is_forced()) || roots_feed_copied(rule, lo, hi, false);
}

/* Where nobody knows which pages have content, what lies in the gaps between a library's segments is resident with its file: that
 * none of it was written is asked of the kernel, because nobody can read it. */
static bool maps_feed_unreadable(const struct roots_map *m, enum roots_rule rule, uintptr_t lo, uintptr_t hi)
{
    if (!roots.has_pagemap && roots_map_is_closed_file(m))
        return roots_kernel_has_no_closed_content();
    return roots_feed_copied(rule, lo, hi, roots_map_is_shared(m));
}

static bool maps_feed_by_kind(const struct roots_map *m, enum roots_rule rule, uintptr_t lo, uintptr_t hi)
{
    if (m->kind == ROOTS_MAP_DEVICE)
        return maps_feed_device(rule, lo, hi);
    if (!m->is_readable)
        return maps_feed_unreadable(m, rule, lo, hi);
    return roots_feed_direct(rule, lo, hi, m->kind != ROOTS_MAP_PRIVATE);
}

/* Words across the border of two ranges, by the rule of the second. */
static bool maps_feed_border(const struct roots_map *before, const struct roots_map *m, enum roots_rule rule, uintptr_t at)
{
    uintptr_t lo = at - sizeof(uintptr_t), hi = at + sizeof(uintptr_t);
    bool is_shared = roots_map_is_shared(before) || roots_map_is_shared(m);

    if (before->kind == ROOTS_MAP_DEVICE || m->kind == ROOTS_MAP_DEVICE)
        return true;
    if (before->is_readable && m->is_readable)
        return roots_feed_direct(rule, lo, hi, is_shared);
    if (!roots.has_pagemap && (roots_map_is_closed_file(before) || roots_map_is_closed_file(m)))
        return true; /* nothing was written there, or the cycle ends */
    return roots_feed_copied(rule, lo, hi, is_shared);
}

static bool maps_feed(struct roots_map *m, enum roots_rule rule, uintptr_t lo, uintptr_t hi)
{
    const struct roots_map *before = roots.last_hi == lo ? roots.last_map : NULL;
    uint64_t n_before;
    bool is_read;

    roots.last_map = rule != ROOTS_RULE_WORDS ? m : NULL;
    roots.last_hi = hi;
    if (before != NULL && rule != ROOTS_RULE_WORDS &&
        !maps_feed_border(before, m, rule == ROOTS_RULE_CODE ? rule : ROOTS_RULE_PACKED, lo))
        return false;
    n_before = roots.n_bytes;
    is_read = maps_feed_by_kind(m, rule, lo, hi);
    m->n_read += roots.n_bytes - n_before;
    return is_read;
}

enum roots_rule roots_maps_rule(const struct roots_map *m, enum roots_zone_kind zone)
{
    if (zone == ROOTS_ZONE_STACK)
        return ROOTS_RULE_STACK;
    if (m->is_code)
        return ROOTS_RULE_CODE;
    return m->is_data ? ROOTS_RULE_PACKED : ROOTS_RULE_WORDS;
}

/* A run of pages with content, cut where the rule changes. */
static bool maps_scan_run(uintptr_t lo, uintptr_t hi, void *ctx)
{
    struct roots_map *m = ctx;

    for (uintptr_t end; lo < hi; lo = end) {
        enum roots_zone_kind zone, excluded;

        end = hi;
        zone = roots_zones_at(&roots.threads, lo, &end);
        excluded = roots_zones_at(&roots.excluded, lo, &end);
        if (zone == ROOTS_ZONE_DEAD || excluded == ROOTS_ZONE_DEAD)
            continue;
        if (!maps_feed(m, roots_maps_rule(m, zone), lo, end))
            return false;
    }
    return true;
}

/* Without pagemap, reading all that is mapped is bearable in small processes only. */
static bool maps_is_blind_bearable(void)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < roots.n_maps; i++)
        if (roots.maps[i].kind == ROOTS_MAP_PRIVATE)
            sum += roots.maps[i].hi - roots.maps[i].lo;
    return sum <= ROOTS_MAX_BLIND_BYTES;
}

/* ---- rows: neighbours are asked about at once, because a question costs half a microsecond, and most mappings are parts
 * of a library, or stacks of threads ---- */

/* Looking through the page tables of a dead part of so much is quicker than another question: 4 ns for each page. */
#define MAPS_MAX_DEAD_BYTES (UINT64_C(256) << 10)

/* Where the mapping is worth reading from: dead space of a stack begins its mapping. */
static uintptr_t maps_live_lo(const struct roots_map *m)
{
    uintptr_t end = m->hi;

    if (roots_zones_at(&roots.threads, m->lo, &end) != ROOTS_ZONE_DEAD)
        return m->lo;
    return bits_round_down(end, os_page_size());
}

static bool maps_go_on(const struct roots_map *m, const struct roots_map *next)
{
    return roots.has_pagemap && m->kind == ROOTS_MAP_PRIVATE && next->kind == ROOTS_MAP_PRIVATE && m->hi == next->lo &&
           maps_live_lo(next) - next->lo <= MAPS_MAX_DEAD_BYTES;
}

/* Cut where a mapping ends. ctx: the mapping where the last run ended; they come in order. */
static bool maps_scan_row_run(uintptr_t lo, uintptr_t hi, void *ctx)
{
    struct roots_map **m = ctx;

    for (uintptr_t end; lo < hi; lo = end) {
        while ((*m)->hi <= lo)
            ++*m;
        end = hi < (*m)->hi ? hi : (*m)->hi;
        if (!maps_scan_run(lo, end, *m))
            return false;
    }
    return true;
}

/* How many mappings it was; 0: not all of them could be read. */
static size_t maps_scan_row(struct roots_map *first, size_t n_left)
{
    struct roots_map row = *first;
    size_t n = 1;

    while (n < n_left && maps_go_on(&first[n - 1], &first[n]))
        n++;
    row.lo = maps_live_lo(first);
    row.hi = first[n - 1].hi;
    return row.lo >= row.hi || roots_content_walk(&row, maps_scan_row_run, &first) ? n : 0;
}

bool roots_maps_scan(void)
{
    if (!roots.has_pagemap && !maps_is_blind_bearable())
        return roots_fail(SKIP_NO_PAGEMAP);
    for (size_t n; roots.n_scanned < roots.n_maps; roots.n_scanned += n)
        if ((n = maps_scan_row(&roots.maps[roots.n_scanned], roots.n_maps - roots.n_scanned)) == 0)
            return false;
    return roots_content_verify();
}

/* ---- before the stop ----------------------------------------------------------------------------------------- */

static bool maps_add_up(uintptr_t lo, uintptr_t hi, void *ctx)
{
    *(uint64_t *)ctx += hi - lo;
    return true;
}

/* Mappings come and go while this runs: a figure to decide by, nothing more. */
uint64_t roots_maps_estimate(void)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < roots.n_maps; i++)
        if (roots.maps[i].kind != ROOTS_MAP_SHARED)
            roots_content_walk(&roots.maps[i], maps_add_up, &sum);
    return sum;
}
