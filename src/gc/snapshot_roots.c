/* The roots of a snapshot: the collector's own walk through them, into a sink that writes down what it finds. */
#include "gc/snapshot_int.h"

#include <string.h>

#include "gc/cycle.h"
#include "gc/finalizer_list.h"
#include "gc/roots.h"
#include "heap/meta.h"

enum { ROOTS_FIRST_BYTES = 1024 * 1024 };

/* Scratch grows in place. */
static bool roots_list_grow(void)
{
    size_t n_bytes = snapshot.max_roots == 0 ? ROOTS_FIRST_BYTES : 2 * snapshot.max_roots * sizeof(*snapshot.roots);

    snapshot.roots = meta_scratch_reserve(SCRATCH_MARK_STACK, n_bytes);
    if (snapshot.roots != NULL)
        snapshot.max_roots = n_bytes / sizeof(*snapshot.roots);
    snapshot.is_void |= snapshot.roots == NULL;
    return snapshot.roots != NULL;
}

static void roots_list_add(uintptr_t at, uint32_t ordinal, uint32_t group)
{
    if (snapshot.is_void || (snapshot.n_roots == snapshot.max_roots && !roots_list_grow()))
        return;
    snapshot.roots[snapshot.n_roots++] = (struct snapshot_root){at, ordinal, group};
    snapshot.groups[group].n_roots++;
}

/* ---- the sink ------------------------------------------------------------------------------------------------- */

static void sink_word(uintptr_t at, bool is_end)
{
    uint64_t word;
    uint32_t ordinal;

    memcpy(&word, (const void *)at, sizeof(word));
    if (is_end ? snapshot_find_end(word, &ordinal) : snapshot_find(word, &ordinal))
        roots_list_add(at, ordinal, snapshot_group_of(at));
}

static void sink_range(uintptr_t lo, uintptr_t hi, size_t step, bool is_end)
{
    for (lo = bits_round_up(lo, step); lo + sizeof(uint64_t) <= hi; lo += step)
        sink_word(lo, is_end);
}

static void sink_words(uintptr_t lo, uintptr_t hi)
{
    sink_range(lo, hi, sizeof(uint64_t), false);
}

static void sink_words_unaligned(uintptr_t lo, uintptr_t hi)
{
    sink_range(lo, hi, sizeof(uint32_t), false);
}

static void sink_words_bytewise(uintptr_t lo, uintptr_t hi)
{
    sink_range(lo, hi, 1, false);
}

/* Stacks are given by the packed rule as well. */
static void sink_stack_words(uintptr_t lo, uintptr_t hi)
{
    sink_range(lo, hi, sizeof(uint64_t), true);
}

static void sink_addr_block(uintptr_t addr, uintptr_t at)
{
    uint32_t ordinal;

    if (snapshot_find(addr, &ordinal))
        roots_list_add(at, ordinal,
                       at != 0 ? snapshot_group_of(at) : snapshot_group_named("held by the kernel, or a stack in a block"));
}

/* ---- roots that are no words ---------------------------------------------------------------------------------- */

static void roots_list_finalizer(const char *why, uintptr_t addr)
{
    uint32_t ordinal;

    if (snapshot_find(addr, &ordinal))
        roots_list_add(0, ordinal, snapshot_group_named(why));
}

static void roots_list_span_block(struct span *s, uint32_t idx, void *ctx)
{
    bool is_malloc_root = *(const bool *)ctx && s->flavor == FLAVOR_MALLOC;
    uint32_t ordinal;

    if ((flavor_is_root(s->flavor) || is_malloc_root) && snapshot_find(span_block(s, idx), &ordinal))
        roots_list_add(0, ordinal,
                       snapshot_group_named(is_malloc_root ? "malloc, in mode explicit" : "GC_ROOT blocks"));
}

bool snapshot_collect_roots(void)
{
    static const struct roots_sink sink = {sink_words, sink_words_unaligned, sink_stack_words, sink_addr_block,
                                           sink_words_bytewise};
    bool is_malloc_root;

    snapshot.n_roots = snapshot.max_roots = 0;
    if (roots_scan_into(&sink) != SKIP_NONE)
        return false;
    is_malloc_root = cycle_keeps_malloc();
    finalizer_list(roots_list_finalizer);
    snapshot_walk(roots_list_span_block, &is_malloc_root);
    return !snapshot.is_void;
}
