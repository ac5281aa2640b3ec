/* Where the blocks of a snapshot came from: the sites of those on record, and the calls in their stacks. */
#include "gc/snapshot_int.h"

#include "base/sort.h"
#include "gc/tracked.h"

/* What a site's hash is good for is over in the clone: its copy holds the rank among those with blocks, from 1. */
static void sites_set_rank(struct site *s, size_t rank)
{
    s->hash = (uint32_t)rank;
}

const struct snapshot_site *snapshot_site_of(uintptr_t start)
{
    const struct site *s = snapshot.n_sites != 0 ? tracked_site_of(start) : NULL;

    return s != NULL ? &snapshot.sites[s->hash - 1] : NULL;
}

static void sites_count_block(struct span *s, uint32_t idx, void *ctx)
{
    struct site *site = tracked_site_of(span_block(s, idx));

    (void)ctx;
    if (site == NULL)
        return;
    if (site->hash == 0) {
        snapshot.sites[snapshot.n_sites++] = (struct snapshot_site){.site = site};
        sites_set_rank(site, snapshot.n_sites);
    }
    snapshot.sites[site->hash - 1].n_blocks++;
    snapshot.sites[site->hash - 1].n_bytes += s->size_bytes;
}

static bool sites_is_before(const void *a, const void *b)
{
    return *(const uintptr_t *)a < *(const uintptr_t *)b;
}

/* All calls of all sites, then each once. */
static void sites_read_calls(void)
{
    size_t n = 0;

    for (size_t i = 0; i < snapshot.n_sites; i++)
        for (uint32_t j = 0; j < snapshot.sites[i].site->n_pcs; j++)
            snapshot.calls[n++] = snapshot.sites[i].site->pcs[j];
    sort_items(snapshot.calls, n, sizeof(*snapshot.calls), sites_is_before);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || snapshot.calls[i] != snapshot.calls[i - 1])
            snapshot.calls[snapshot.n_calls++] = snapshot.calls[i];
}

size_t snapshot_call_rank(uintptr_t pc)
{
    size_t lo = 0, hi = snapshot.n_calls;

    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (snapshot.calls[mid] <= pc)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

bool snapshot_sites_read(void)
{
    size_t n_sites = 0, n_calls = 0;

    for (struct site *s = site_newest(); s != NULL; s = s->older) {
        sites_set_rank(s, 0);
        n_sites++;
        n_calls += s->n_pcs;
    }
    snapshot.n_sites = snapshot.n_calls = 0;
    snapshot.sites = snapshot_room(n_sites * sizeof(*snapshot.sites));
    snapshot.calls = snapshot_room(n_calls * sizeof(*snapshot.calls));
    if (snapshot.sites == NULL || snapshot.calls == NULL)
        return false;
    snapshot_walk(sites_count_block, NULL);
    sites_read_calls();
    return true;
}
