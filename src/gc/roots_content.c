/* Which pages of a mapping are worth reading; see roots_int.h.
 *
 * Private mappings   pagemap knows: present or swapped, and not a file's. Where it may not be read (a daemon that
 *         dropped root), what is resident is read, see below, and only in processes whose private mappings are small.
 * Shared memory      our page tables prove nothing about it (a page with content reads as not present in a fork
 *         child), so all of it counts; but reading a page that nobody ever wrote would allocate it, and a program may
 *         map a terabyte of it. mincore asks the page cache itself and errs only for what is swapped out. So: where the
 *         system has nothing swapped out, what is not resident has no content; that it still has nothing swapped out is
 *         checked again when all is read (roots_content_verify). Where something is swapped out, all is read, up to
 *         ROOTS_MAX_BLIND_BYTES per mapping. mincore speaks about page tables for huge-page files, and may be denied
 *         for files of others (it then says "resident"): such and files on disks are read whole.
 */
#include "gc/roots_int.h"

#include "os/probe.h"

/* Runs of resident pages of [lo, hi), at most ROOTS_RESIDENT_PAGES of them. */
static bool content_walk_answer(uintptr_t lo, size_t n_pages, roots_run_fn fn, void *ctx)
{
    size_t page_size = os_page_size();

    for (size_t i = 0, end; i < n_pages; i = end) {
        bool is_resident = (roots.resident[i] & 1) != 0;

        for (end = i + 1; end < n_pages && ((roots.resident[end] & 1) != 0) == is_resident; end++)
            continue;
        if (!is_resident)
            roots.did_trust_resident = true;
        else if (!fn(lo + i * page_size, lo + end * page_size, ctx))
            return false;
    }
    return true;
}

static bool content_walk_resident(uintptr_t lo, uintptr_t hi, roots_run_fn fn, void *ctx)
{
    size_t page_size = os_page_size();

    roots.n_asked_bytes += hi - lo;
    if (roots.n_asked_bytes > ROOTS_MAX_ASKED_BYTES)
        return roots_fail(SKIP_TOO_MANY_ROOTS);
    for (uintptr_t next; lo < hi; lo = next) {
        size_t n_pages = (hi - lo) / page_size;

        n_pages = n_pages < ROOTS_RESIDENT_PAGES ? n_pages : ROOTS_RESIDENT_PAGES;
        next = lo + n_pages * page_size;
        if (os_probe_resident(lo, n_pages, roots.resident) != 0)
            return roots_fail(SKIP_NO_PAGEMAP);
        if (!content_walk_answer(lo, n_pages, fn, ctx))
            return false;
    }
    return true;
}

/* All that may have content, where mincore knows it unless it is swapped out. */
static bool content_walk_by_residence(const struct roots_map *m, roots_run_fn fn, void *ctx)
{
    if (!roots.has_swap)
        return content_walk_resident(m->lo, m->hi, fn, ctx);
    if (m->hi - m->lo > ROOTS_MAX_BLIND_BYTES)
        return roots_fail(SKIP_TOO_MANY_ROOTS);
    return fn(m->lo, m->hi, ctx);
}

/* Whoever has a userfaultfd may have asked to deliver pages of shared memory itself: reading one would wait for a
 * thread that stands still. (Private pages with content are there, so nobody is asked for them.) */
static bool content_walk_shared(const struct roots_map *m, roots_run_fn fn, void *ctx)
{
    if (!roots_kernel_has_no_userfault())
        return false;
    if (m->kind == ROOTS_MAP_SHMEM)
        return content_walk_by_residence(m, fn, ctx);
    if (m->hi - m->lo > ROOTS_MAX_BLIND_BYTES)
        return roots_fail(SKIP_TOO_MANY_ROOTS);
    return fn(m->lo, m->hi, ctx);
}

static bool content_walk_private(const struct roots_map *m, roots_run_fn fn, void *ctx)
{
    if (!roots.has_pagemap)
        return content_walk_by_residence(m, fn, ctx);
    if (os_pages_walk(m->lo, m->hi, fn, ctx) != 0)
        return roots_fail(SKIP_NO_PAGEMAP);
    return roots.skip == SKIP_NONE;
}

bool roots_content_walk(const struct roots_map *m, roots_run_fn fn, void *ctx)
{
    switch ((enum roots_map_kind)m->kind) {
    case ROOTS_MAP_KERNEL:
    case ROOTS_MAP_RING:
    case ROOTS_MAP_WITH_FILE:
    case ROOTS_MAP_WITH_DEVICE:
        return true;
    case ROOTS_MAP_PRIVATE:
    case ROOTS_MAP_DEVICE:
        return content_walk_private(m, fn, ctx);
    case ROOTS_MAP_SHMEM:
    case ROOTS_MAP_SHARED:
        return content_walk_shared(m, fn, ctx);
    }
    __builtin_unreachable();
}

bool roots_content_verify(void)
{
    if (!roots.did_trust_resident || !os_probe_swap_in_use())
        return true;
    return roots_fail(SKIP_NO_PAGEMAP);
}
