/* See site.h. A fixed number of buckets, each a list that only grows at its head. */
#include "heap/site.h"

#include <stdbool.h>
#include <string.h>

#include "base/compiler.h"
#include "heap/meta.h"

enum { SITE_BUCKETS = 1 << 14 };

static struct {
    struct site **buckets; /* published once */
    struct site *newest;
    uint32_t n_ids;
} sites;

static uint32_t site_hash(const uintptr_t *pcs, uint32_t n_pcs)
{
    uint64_t hash = n_pcs;

    for (uint32_t i = 0; i < n_pcs; i++) {
        hash = (hash ^ pcs[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return (uint32_t)(hash >> 32);
}

static struct site **site_buckets(void)
{
    struct site **buckets = __atomic_load_n(&sites.buckets, __ATOMIC_ACQUIRE), **fresh;

    if (LIKELY(buckets != NULL))
        return buckets;
    fresh = meta_alloc(SITE_BUCKETS * sizeof(*fresh));
    if (fresh == NULL)
        return NULL;
    if (__atomic_compare_exchange_n(&sites.buckets, &buckets, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return fresh;
    meta_free(fresh, SITE_BUCKETS * sizeof(*fresh));
    return buckets;
}

static bool site_is(const struct site *s, uint32_t hash, const uintptr_t *pcs, uint32_t n_pcs)
{
    return s->hash == hash && s->n_pcs == n_pcs && memcmp(s->pcs, pcs, n_pcs * sizeof(*pcs)) == 0;
}

/* In the list from `from` up to, not including, `end`. */
static struct site *site_find(struct site *from, const struct site *end, uint32_t hash, const uintptr_t *pcs,
                              uint32_t n_pcs)
{
    for (struct site *s = from; s != end; s = s->same_bucket)
        if (site_is(s, hash, pcs, n_pcs))
            return s;
    return NULL;
}

static size_t site_bytes(uint32_t n_pcs)
{
    return sizeof(struct site) + n_pcs * sizeof(uintptr_t);
}

static struct site *site_new(uint32_t hash, const uintptr_t *pcs, uint32_t n_pcs)
{
    struct site *s = meta_alloc(site_bytes(n_pcs));

    if (s == NULL)
        return NULL;
    s->id = __atomic_add_fetch(&sites.n_ids, 1, __ATOMIC_RELAXED);
    s->hash = hash;
    s->n_pcs = n_pcs;
    memcpy(s->pcs, pcs, n_pcs * sizeof(*pcs));
    return s;
}

static void site_enlist(struct site *s)
{
    struct site *head = __atomic_load_n(&sites.newest, __ATOMIC_RELAXED);

    do
        s->older = head;
    while (!__atomic_compare_exchange_n(&sites.newest, &head, s, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

/* Somebody may enter the same stack meanwhile: what has come since the last look is looked at before each try. */
static struct site *site_enter(struct site **bucket, struct site *head, struct site *fresh)
{
    for (const struct site *seen = head;; seen = head) {
        fresh->same_bucket = head;
        if (__atomic_compare_exchange_n(bucket, &head, fresh, false, __ATOMIC_RELEASE, __ATOMIC_ACQUIRE)) {
            site_enlist(fresh);
            return fresh;
        }
        struct site *twin = site_find(head, seen, fresh->hash, fresh->pcs, fresh->n_pcs);
        if (twin != NULL) {
            meta_free(fresh, site_bytes(fresh->n_pcs));
            return twin;
        }
    }
}

struct site *site_of_stack(const uintptr_t *pcs, uint32_t n_pcs)
{
    struct site **buckets = site_buckets(), *found, *fresh;
    uint32_t hash = site_hash(pcs, n_pcs);

    if (buckets == NULL)
        return NULL;
    struct site **bucket = &buckets[hash % SITE_BUCKETS];
    struct site *head = __atomic_load_n(bucket, __ATOMIC_ACQUIRE);
    found = site_find(head, NULL, hash, pcs, n_pcs);
    if (LIKELY(found != NULL))
        return found;
    fresh = site_new(hash, pcs, n_pcs);
    return fresh != NULL ? site_enter(bucket, head, fresh) : NULL;
}

struct site *site_newest(void)
{
    return __atomic_load_n(&sites.newest, __ATOMIC_ACQUIRE);
}

void site_add(struct site *site, enum site_figure figure, uint64_t n, uint64_t bytes)
{
    __atomic_fetch_add(&site->figures[figure].n, n, __ATOMIC_RELAXED);
    __atomic_fetch_add(&site->figures[figure].bytes, bytes, __ATOMIC_RELAXED);
}

struct site_count site_get(const struct site *site, enum site_figure figure)
{
    struct site_count c = {
        .n = __atomic_load_n(&site->figures[figure].n, __ATOMIC_RELAXED),
        .bytes = __atomic_load_n(&site->figures[figure].bytes, __ATOMIC_RELAXED),
    };
    return c;
}

void site_reset(struct site *site, enum site_figure figure)
{
    __atomic_store_n(&site->figures[figure].n, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&site->figures[figure].bytes, 0, __ATOMIC_RELAXED);
}
