/* Zones: parts of the address space that are read by another rule than their surroundings; see roots_int.h.
 *
 * Few thousand at most (two per thread), so: a sorted array and binary search. Sorting is heapsort, because the
 * library's qsort allocates.
 */
#include "gc/roots_int.h"

void roots_zones_add(struct roots_zones *z, uintptr_t lo, uintptr_t hi, enum roots_zone_kind kind)
{
    if (lo >= hi || z->n == z->max)
        return;
    z->zones[z->n++] = (struct roots_zone){lo, hi, kind};
}

static void zones_sift_down(struct roots_zone *heap, size_t i, size_t n)
{
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        struct roots_zone moved = heap[i];

        if (child + 1 < n && heap[child + 1].lo > heap[child].lo)
            child++;
        if (heap[child].lo <= moved.lo)
            return;
        heap[i] = heap[child];
        heap[child] = moved;
    }
}

static void zones_sort(struct roots_zone *zones, size_t n)
{
    for (size_t i = n / 2; i-- > 0;)
        zones_sift_down(zones, i, n);
    for (size_t i = n; i-- > 1;) {
        struct roots_zone last = zones[i];

        zones[i] = zones[0];
        zones[0] = last;
        zones_sift_down(zones, 0, i);
    }
}

void roots_zones_seal(struct roots_zones *z, enum roots_zone_kind overlap)
{
    size_t n = 0;

    zones_sort(z->zones, z->n);
    for (size_t i = 0; i < z->n; i++) {
        struct roots_zone *last = n != 0 ? &z->zones[n - 1] : NULL;

        if (last == NULL || z->zones[i].lo >= last->hi) {
            z->zones[n++] = z->zones[i];
            continue;
        }
        last->kind = overlap;
        if (z->zones[i].hi > last->hi)
            last->hi = z->zones[i].hi;
    }
    z->n = n;
}

enum roots_zone_kind roots_zones_at(const struct roots_zones *z, uintptr_t addr, uintptr_t *end)
{
    size_t lo = 0; /* the first zone that ends above addr */
    size_t hi = z->n;
    uintptr_t change;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (z->zones[mid].hi > addr)
            hi = mid;
        else
            lo = mid + 1;
    }
    if (lo == z->n)
        return ROOTS_ZONE_PLAIN;
    change = z->zones[lo].lo > addr ? z->zones[lo].lo : z->zones[lo].hi;
    if (change < *end)
        *end = change;
    return z->zones[lo].lo > addr ? ROOTS_ZONE_PLAIN : z->zones[lo].kind;
}
