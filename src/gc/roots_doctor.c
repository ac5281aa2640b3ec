/* See roots_doctor.h. */
#include "gc/roots_doctor.h"

#include "gc/roots_int.h"
#include "heap/heap.h"

/* Why a mapping is not in the table. */
static const char *verdict_without_map(uintptr_t addr)
{
    struct heap_range own;

    if (heap_next_own(addr, &own) && own.lo <= addr)
        return "skipped: the library's own, but blocks are read where something leads to them";
    if (roots.n_maps == 0)
        return "skipped: no collection came as far as to look at it";
    return "skipped: newer than the last collection that looked";
}

const char *roots_verdict(uintptr_t addr)
{
    const struct roots_map *m = roots_maps_find(addr);

    if (m == NULL)
        return verdict_without_map(addr);
    switch ((enum roots_map_kind)m->kind) {
    case ROOTS_MAP_NONE:
        return "skipped: shared with a file or device, or the kernel's";
    case ROOTS_MAP_DEVICE:
        return "read through the kernel, where that lets it be read";
    case ROOTS_MAP_SHMEM:
    case ROOTS_MAP_SHARED:
        return "read whole: shared memory without a name of a file";
    case ROOTS_MAP_PRIVATE:
        break;
    }
    if (!m->is_readable)
        return "read through the kernel: pages with content of their own";
    if (m->is_code)
        return "read at every byte: pages with content of their own";
    return m->is_data ? "read at every 4th byte: pages with content of their own"
                      : "read: pages with content of their own";
}

bool roots_reopen_in_clone(void)
{
    roots_finish();
    roots.has_pagemap = os_pages_prepare() == 0;
    return roots_kernel_prepare();
}

uintptr_t roots_caller(void)
{
    return roots.caller_sp;
}
