/* See watch.h.
 *
 * A sampled block makes every free of its span take the slow path. Where samples are rare that would slow down hundreds of
 * frees for the sake of one, so a sampled block then gets a span of its own, of which only the first page is touched.
 */
#include "api/watch.h"

#include "api/alloc.h"
#include "api/alloctrace.h"
#include "api/findings.h"
#include "api/findings_out.h"
#include "api/outfile.h"
#include "heap/meta.h"
#include "heap/sample.h"
#include "os/critical_inl.h"
#include "os/os.h"
#include "os/walk.h"

enum {
    WATCH_DEFAULT_RATE = 512 * 1024,
    WATCH_APART_RATE = 128 * 1024, /* samples at least so far from each other get spans of their own */
};

static struct {
    uint64_t profile_rate; /* 0 off */
    uint64_t written_rate;
    bool needs_all; /* leaks or the trace: every block, whatever the profile asks */
} watch;

/* Samples that the block stands for; 0: it is none. */
static uint32_t watch_due(const struct watch_request *r)
{
    struct tcache *tc = tcache_self;

    if (tc == &tcache_none)
        return sample_rate() == 1;
    return r->is_large ? sample_large(tc, r->size_bytes) : sample_take_due(tc);
}

static void *watch_move_apart(void *p, const struct watch_request *r, bool *is_zero)
{
    bool is_new_zero = false;
    void *q;

    if (r->is_large || r->flavor == FLAVOR_GC_TINY || sample_rate() < WATCH_APART_RATE)
        return p;
    q = heap_large_alloc(alloc_padded(r->size_bytes, r->align, r->flavor), r->align, r->flavor, &is_new_zero);
    if (q == NULL)
        return p;
    heap_free(p);
    *is_zero = is_new_zero;
    return q;
}

/* NULL: no memory, or no cache. */
static struct os_walk_memo *watch_memo(void)
{
    struct tcache *tc = tcache_self;

    if (tc == &tcache_none)
        return NULL;
    if (tc->walks == NULL)
        tc->walks = meta_alloc(sizeof(*tc->walks));
    return tc->walks;
}

static struct site *watch_site(void)
{
    struct os_walk_memo *memo = watch_memo();
    uintptr_t pcs[SITE_PCS_MAX];
    struct os_walk *walk = NULL;
    struct site *site;
    unsigned n_pcs;

    if (memo == NULL) {
        n_pcs = os_walk_stack(pcs, SITE_PCS_MAX);
        return site_of_stack(pcs, n_pcs);
    }
    site = os_walk_known(memo, pcs, SITE_PCS_MAX, &n_pcs, &walk);
    if (site != NULL)
        return site;
    site = site_of_stack(pcs, n_pcs);
    if (walk != NULL)
        walk->known = site;
    return site;
}

static void watch_record(void *p, const struct tracked_block *block)
{
    tracked_add((uintptr_t)p, block);
    sample_flag_set((uintptr_t)p);
}

NOINLINE void *watch_allocated(void *p, const struct watch_request *r, bool *is_zero)
{
    struct tracked_block block = {.size_bytes = r->size_bytes, .may_leak = r->flavor == FLAVOR_MALLOC};

    os_critical_enter();
    block.weight = watch_due(r);
    if (block.weight != 0)
        block.site = watch_site();
    if (block.site != NULL) {
        p = watch_move_apart(p, r, is_zero);
        watch_record(p, &block);
    }
    os_critical_leave();
    if (block.site != NULL)
        alloctrace_allocated((uintptr_t)p, r->size_bytes, block.site);
    return p;
}

/* A span that the collector took whole has no flag any more. */
static bool watch_may_be_recorded(uintptr_t addr)
{
    return sample_is_flagged(addr) || (heap_contains(addr) && slice_of(addr)->span == 0);
}

NOINLINE void watch_freed(void *p)
{
    struct tracked_block block;

    if (!watch_may_be_recorded((uintptr_t)p))
        return;
    os_critical_enter();
    block = tracked_remove((uintptr_t)p);
    os_critical_leave();
    if (block.site != NULL)
        alloctrace_freed((uintptr_t)p, block.site);
}

struct tracked_block watch_lift(void *p)
{
    struct tracked_block none = {0};

    return tracked_is_any() && sample_is_flagged((uintptr_t)p) ? tracked_remove((uintptr_t)p) : none;
}

void watch_put(void *p, struct tracked_block block, size_t size_bytes)
{
    if (block.site == NULL)
        return;
    block.size_bytes = size_bytes;
    watch_record(p, &block);
}

/* ---- settings ---- */

static void watch_apply(void)
{
    uint64_t rate = watch.needs_all ? 1 : LOAD_ONCE(watch.profile_rate);

    if (rate != 0)
        STORE_ONCE(watch.written_rate, rate);
    sample_set_rate(rate);
    os_critical_enter();
    if (rate != 0 && tcache_self != &tcache_none)
        sample_veil_all(tcache_self);
    os_critical_leave();
}

void watch_set_profile_rate(size_t rate_bytes)
{
    STORE_ONCE(watch.profile_rate, rate_bytes);
    watch_apply();
}

uint64_t watch_written_rate(void)
{
    return LOAD_ONCE(watch.written_rate);
}

static uint64_t watch_rate_of(uint64_t option)
{
    if (option == OPTION_PROFILE_ON)
        return WATCH_DEFAULT_RATE;
    return option == OPTION_PROFILE_OFF ? 0 : option;
}

void watch_init(const struct options *o)
{
    watch.written_rate = WATCH_DEFAULT_RATE;
    watch.profile_rate = watch_rate_of(o->profile_bytes);
    watch.needs_all = o->leaks || o->alloctrace;
    os_walk_init();
    outfile_init();
    findings_start(o);
    if (o->alloctrace)
        alloctrace_start(o->alloctrace_file);
    if (o->leaks)
        tracked_want_leaks();
    if (watch.needs_all || watch.profile_rate != 0) {
        findings_init();
        watch_apply();
    }
}

void watch_fork_child(void)
{
    tracked_fork_child();
    alloctrace_fork_child();
}
