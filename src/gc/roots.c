/* The roots: order of the parts and the scratch they share; see roots.h.
 *
 * Owns      struct roots.
 * Order     the list of mappings is complete or the cycle ends; every stack is in it or the cycle ends; only then is
 *           anything marked.
 * Not here  each part: roots_feed.c, roots_maps.c, roots_content.c, roots_threads.c, roots_kernel.c, roots_table.c, roots_zones.c,
 *           roots_doctor.c.
 */
#include "gc/roots.h"

#include "base/check.h"
#include "gc/mark.h"
#include "gc/roots_int.h"
#include "gc/world.h"
#include "heap/heap.h"
#include "heap/meta.h"
#include "os/probe.h"

#define ROOTS_SPARE_MAPS 1024u
#define ROOTS_SPARE_ZONES 64u

struct roots roots;

bool roots_fail(enum cycle_skip skip)
{
    if (roots.skip == SKIP_NONE)
        roots.skip = skip;
    return false;
}

void roots_set_caller(uintptr_t sp)
{
    roots.caller_sp = sp;
}

unsigned roots_disguises(void)
{
    return roots.disguises;
}

bool roots_has_userfault(void)
{
    return roots.has_userfault;
}

bool roots_has_hider(void)
{
    return roots.has_hider;
}

void roots_expect(unsigned disguises)
{
    roots.expected = disguises;
}

uint64_t roots_scanned_bytes(void)
{
    return roots.n_bytes;
}

/* ---- before the stop ----------------------------------------------------------------------------------------- */

static bool roots_reserve_maps(size_t n_maps)
{
    char *base = meta_scratch_reserve(SCRATCH_MAPS, ROOTS_TEXT_BYTES + n_maps * sizeof(struct roots_map));

    if (base == NULL)
        return false;
    roots.text = base;
    roots.maps = (struct roots_map *)(base + ROOTS_TEXT_BYTES);
    roots.max_maps = n_maps;
    return true;
}

static bool roots_reserve_rest(void)
{
    size_t n_threads = 3 * (world_capacity() + 1); /* dead and live part of each stack, the caller's included; alternate one */
    size_t n_excluded = roots_table_n_excluded() + ROOTS_SPARE_ZONES;
    char *base = meta_scratch_reserve(SCRATCH_ROOTS, ROOTS_COPY_BYTES + ROOTS_RESIDENT_PAGES +
                                                         (n_threads + n_excluded) * sizeof(struct roots_zone));

    if (base == NULL)
        return false;
    roots.copy = (uintptr_t *)base;
    roots.resident = (unsigned char *)base + ROOTS_COPY_BYTES;
    roots.threads = (struct roots_zones){(struct roots_zone *)(roots.resident + ROOTS_RESIDENT_PAGES), 0, n_threads};
    roots.excluded = (struct roots_zones){roots.threads.zones + n_threads, 0, n_excluded};
    return true;
}

static void roots_begin(void)
{
    roots.skip = SKIP_NONE;
    roots.n_bytes = 0;
    roots.n_asked_bytes = 0;
    roots.n_scanned = 0;
    roots.last_map = NULL;
    roots.threads.n = 0;
    roots.excluded.n = 0;
    roots.did_trust_resident = false;
    roots.has_uring = false;
    roots.did_ask_userfault = false;
    roots.has_userfault = false;
    roots.did_ask_closed = false;
    roots.has_closed_content = false;
}

/* The table has room for twice the mappings of the last time; the first time they are counted, with more and more
 * room. */
static bool roots_size_maps(void)
{
    for (size_t n = roots.n_maps_hint;; n = roots.max_maps) {
        if (!roots_reserve_maps(2 * n + ROOTS_SPARE_MAPS))
            return roots_fail(SKIP_NO_MEMORY);
        if (roots.n_maps_hint != 0)
            return true;
        if (roots_maps_collect())
            roots.n_maps_hint = roots.n_maps;
        else if (roots.skip != SKIP_NO_MEMORY)
            return false;
        roots.skip = SKIP_NONE;
    }
}

bool roots_open(void)
{
    if (roots.is_open)
        return true;
    roots.has_pagemap = os_pages_prepare() == 0;
    roots.is_open = roots_kernel_open();
    if (!roots.is_open)
        os_pages_finish();
    return roots.is_open || roots_fail(SKIP_NO_PROC);
}

void roots_finish(void)
{
    os_pages_finish();
    roots_kernel_close();
    roots.is_open = false;
}

/* Resident memory that is not the heap's bounds what is to be read from above (but for what is swapped out); only where
 * that is too much, the mappings are asked. */
static bool roots_check_estimate(void)
{
    size_t bound = heap_committed_bytes() - heap_purged_bytes() + ROOTS_MAX_BYTES;

    if (os_vm_resident_peak() < bound || os_vm_resident() < bound)
        return true;
    roots.has_swap = os_probe_swap_in_use();
    if (!roots_maps_collect() || !roots_open())
        return false;
    bool is_bearable = roots_maps_estimate() <= ROOTS_MAX_BYTES;
    roots_finish();
    return is_bearable || roots_fail(SKIP_TOO_MANY_ROOTS);
}

enum cycle_skip roots_prepare(void)
{
    ASSERT(!world_is_stopped() && world_capacity() != 0 && os_tls.critical != 0);
    roots_begin();
    if (!roots_reserve_rest())
        return SKIP_NO_MEMORY;
    roots_kernel_prepare();
    if (!roots_size_maps() || !roots_check_estimate())
        return roots.skip;
    return roots.has_uring ? SKIP_IO_URING : SKIP_NONE;
}

/* ---- in the stopped world ------------------------------------------------------------------------------------ */

/* A list that lacks what must be in it was not read whole. */
static bool roots_read_list(void)
{
    struct roots_map *own;

    if (!roots_maps_collect()) {
        if (roots.skip == SKIP_NO_MEMORY)
            roots.n_maps_hint = 2 * roots.max_maps;
        return false;
    }
    roots.n_maps_hint = roots.n_maps;
    if (roots.has_uring)
        return roots_fail(SKIP_IO_URING);
    own = roots_maps_find((uintptr_t)&roots);
    return (own != NULL && own->kind == ROOTS_MAP_PRIVATE) || roots_fail(SKIP_STACK_MISSING);
}

static void roots_scan_all(void *unused)
{
    (void)unused;
    roots_begin();
    roots.has_hider = false; /* here and not before: a cycle's second stop goes by what the first one saw */
    roots.disguises = roots.expected;
    roots.has_swap = os_probe_swap_in_use();
    roots_table_place();
    roots_zones_seal(&roots.excluded, ROOTS_ZONE_DEAD);
    if (roots_open() && roots_read_list() && roots_threads_place() && roots_threads_scan() && roots_kernel_scan() && roots_maps_scan())
        roots_table_scan();
}

/* The outer guard spares each inner one its two system calls, and catches what no inner one expects. */
enum cycle_skip roots_scan_into(const struct roots_sink *sink)
{
    uintptr_t fault_addr = 0;

    world_assert_stopped();
    ASSERT(roots.caller_sp != 0);
    roots.sink = sink;
    if (!os_fault_guard(roots_scan_all, NULL, &fault_addr))
        roots_fail(SKIP_FAULT);
    return roots.skip;
}

static void roots_mark_block(uintptr_t addr, uintptr_t at)
{
    (void)at;
    mark_addr_block(addr);
}

enum cycle_skip roots_scan(void)
{
    static const struct roots_sink marker = {mark_words, mark_words_unaligned, mark_stack_words, roots_mark_block,
                                             mark_words_bytewise};

    return roots_scan_into(&marker);
}

/* What another thread had open when it forked shows the parent. */
void roots_fork_child(void)
{
    roots_finish();
    roots_table_fork_child();
}
