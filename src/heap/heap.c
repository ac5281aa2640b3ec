/* The facade; see heap.h. Life of spans, accounting, giving back, and what the collector does to spans. */
#include "heap/heap.h"

#include "base/counters.h"
#include "heap/arena.h"
#include "heap/central.h"
#include "heap/meta.h"
#include "heap/probation.h"
#include "heap/window.h"
#include "os/critical_inl.h"
#include "os/os.h"

enum heap_init_state { HEAP_INIT_NONE, HEAP_INIT_RUNNING, HEAP_INIT_DONE };
#define HEAP_DECAY_NS ((uint64_t)200 * 1000 * 1000)
#define HEAP_REUSE_MAX_NS (5 * HEAP_DECAY_NS / 2) /* what is given back is free for at most twice as long */
#define HEAP_COUNT_ALWAYS_BYTES ((size_t)256 << 20)
#define HEAP_COUNT_NS_PER_MIB ((uint64_t)32 * 1000 * 1000 / 1024)
enum { HEAP_WALK_AHEAD = 6, HEAP_WALK_BYTES = 448, HEAP_LINE_BYTES = 64 };
enum { HEAP_TURNOVER_MIN_SLICES = 64 };

static struct {
    uint32_t init_state;   /* enum heap_init_state; atomic */
    _Alignas(64) int64_t used_estimate; /* atomic; all threads write it, and read what is above in every slow path */
    struct heap_use counted;    /* by heap_use_lately; each field atomic */
    uint64_t counted_at_ns; /* 0: there were collections since; atomic */
    uint64_t last_decay_ns; /* atomic */
    uint64_t reuse_ns;      /* atomic */
    size_t n_new_slices;    /* under new spans of small blocks, since content was last aged; atomic */
} heap;

/* ---- start ---- */

static bool heap_init_once(const struct heap_config *config)
{
    if (!arena_init(config->reserve_bytes, config->hugepages))
        return false;
    heap_map.cycle_no = 1;
    meta_init();
    if (span_reserve_nil())
        return true;
    window_fini();
    return false;
}

static uint32_t heap_init_state(void)
{
    return __atomic_load_n(&heap.init_state, __ATOMIC_ACQUIRE);
}

/* A failure is not for ever: the next caller tries again. */
bool heap_init(const struct heap_config *config)
{
    uint32_t expected = HEAP_INIT_NONE;
    if (LIKELY(heap_init_state() == HEAP_INIT_DONE))
        return true;
    if (__atomic_compare_exchange_n(&heap.init_state, &expected, HEAP_INIT_RUNNING, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE)) {
        bool ok = heap_init_once(config);
        __atomic_store_n(&heap.init_state, ok ? HEAP_INIT_DONE : HEAP_INIT_NONE, __ATOMIC_RELEASE);
        os_futex_wake(&heap.init_state, UINT32_MAX);
    }
    while (heap_init_state() == HEAP_INIT_RUNNING)
        os_futex_wait(&heap.init_state, HEAP_INIT_RUNNING, UINT64_MAX);
    return heap_init_state() == HEAP_INIT_DONE;
}

bool heap_is_ready(void)
{
    return heap_init_state() == HEAP_INIT_DONE;
}

/* ---- spans ---- */

struct span *heap_new_span(unsigned class_no, unsigned flavor)
{
    uint32_t n_slices = sizeclass_span_slices(class_no);
    bool is_zero;
    uintptr_t start = arena_take(n_slices, 1, &is_zero);
    if (start == 0)
        return NULL;
    struct span *s = span_new(class_no, flavor, start, n_slices, 0);
    if (s == NULL) {
        arena_give(start, n_slices);
        return NULL;
    }
    span_publish(s);
    __atomic_fetch_add(&heap.n_new_slices, n_slices, __ATOMIC_RELAXED);
    return s;
}

void heap_release_span(struct span *s)
{
    uint32_t flags = span_flags(s);
    ASSERT((flags & SPAN_REMOTE) == 0 && s->list_no == LIST_NONE);
    bool was_taken = (flags & (SPAN_TAKEN | SPAN_UNSWEPT)) != 0;
    uintptr_t start = s->start;
    uint32_t n_slices = s->n_slices;
    span_unpublish(s, was_taken ? TOMB_TAKEN : TOMB_FREED);
    span_delete(s);
    arena_give(start, n_slices);
}

/* By another thread, and the owner has not read its message. */
static bool heap_is_freed_elsewhere(const struct span *s, uint32_t idx)
{
    return (span_flags(s) & SPAN_REMOTE) != 0 && ((LOAD_ONCE(s->remote[idx >> 6]) >> (idx & 63)) & 1) != 0;
}

enum heap_find heap_find_object(uintptr_t addr, struct heap_obj *obj)
{
    if (!heap_contains(addr))
        return HEAP_NOT_A_BLOCK;
    const struct slice *e = slice_of(addr);
    uint32_t ref = LOAD_ONCE(e->span);
    struct span *s = span_of_ref(ref);
    if (ref == 0)
        return HEAP_NOT_A_BLOCK;
    uint32_t idx = e->recip == 0 ? 0 : slice_block_idx(e, (uint32_t)(addr - s->start));
    if (idx >= s->n_blocks)
        return HEAP_NOT_A_BLOCK;
    *obj = (struct heap_obj){.span = s, .start = span_block(s, idx), .size_bytes = s->size_bytes, .idx = idx};
    if (addr - obj->start >= obj->size_bytes) /* the slack behind a large block */
        return HEAP_NOT_A_BLOCK;
    if (span_is_free(s, idx))
        return ((span_cold(s)[idx >> 6].taken >> (idx & 63)) & 1) != 0 ? HEAP_TAKEN : HEAP_FREE;
    if (UNLIKELY(heap_is_freed_elsewhere(s, idx)))
        return HEAP_FREE;
    if (span_is_dead(s, idx))
        return HEAP_TAKEN;
    return span_is_held(s, idx) ? HEAP_HELD : HEAP_LIVE;
}

bool heap_is_special(uintptr_t addr)
{
    if (!heap_contains(addr))
        return false;
    const struct span *s = span_of_ref(LOAD_ONCE(slice_of(addr)->span)); /* the nil span has no flag */
    return (atomic_load_explicit(&s->flags, memory_order_relaxed) & SPAN_SPECIAL) != 0;
}

/* ---- accounting ---- */

void heap_add_used(size_t bytes)
{
    __atomic_fetch_add(&heap.used_estimate, (int64_t)bytes, __ATOMIC_RELAXED);
}

size_t heap_used_estimate(void)
{
    int64_t used = __atomic_load_n(&heap.used_estimate, __ATOMIC_RELAXED);
    return used < 0 ? 0 : (size_t)used;
}

void heap_set_used(size_t bytes)
{
    __atomic_store_n(&heap.used_estimate, (int64_t)bytes, __ATOMIC_RELAXED);
    STORE_ONCE(heap.counted_at_ns, 0);
}

static uint32_t heap_count_not_used(struct span *s)
{
    const struct span_cold *cold = span_cold(s);
    uint32_t n = 0;
    for (uint32_t w = 0; w < s->n_words; w++)
        n += bits_popcount64(LOAD_ONCE(s->words[w].free) | LOAD_ONCE(cold[w].dead) | LOAD_ONCE(cold[w].suspect) |
                             LOAD_ONCE(s->remote[w]));
    return n;
}

/* Most words say that all of their blocks are in use, or none. */
static uint32_t heap_count_free(const struct span *s)
{
    uint32_t n = 0;
    for (uint32_t w = 0; w < s->n_words; w++) {
        uint64_t bits = LOAD_ONCE(s->words[w].free);
        n += bits + 1 <= 1 ? 64 * (bits & 1) : bits_popcount64(bits);
    }
    return n;
}

/* Blocks of a span that are allocated and neither dead nor on probation; exact when nobody changes them. The flags say whether there
 * are other bits than those of free blocks: two thirds of the lines need not be read. */
size_t heap_span_n_used(struct span *s)
{
    bool is_plain = (span_flags(s) & (SPAN_UNSWEPT | SPAN_SUSPECT | SPAN_REMOTE)) == 0;
    uint32_t n = is_plain ? heap_count_free(s) : heap_count_not_used(s);
    return n >= s->n_blocks ? 0 : s->n_blocks - n;
}

static void heap_count_span(struct span *s, void *ctx)
{
    struct heap_use *use = ctx;
    size_t n_used = heap_span_n_used(s);
    use->n_used += n_used;
    use->used_bytes += n_used * s->size_bytes;
}

static struct heap_use heap_count(void)
{
    struct heap_use use = {0, 0};
    heap_walk_spans(heap_count_span, &use);
    heap_set_used(use.used_bytes);
    return use;
}

size_t heap_recount(void)
{
    return heap_count().used_bytes;
}

/* Of two that count at once, one's bytes may stand beside the other's number: both are recent. */
static struct heap_use heap_count_at(uint64_t now_ns)
{
    struct heap_use use = heap_count();
    STORE_ONCE(heap.counted.used_bytes, use.used_bytes);
    STORE_ONCE(heap.counted.n_used, use.n_used);
    STORE_ONCE(heap.counted_at_ns, now_ns);
    return use;
}

struct heap_use heap_use_lately(uint64_t now_ns)
{
    size_t mapped_bytes = heap_mapped_bytes();
    uint64_t at_ns = LOAD_ONCE(heap.counted_at_ns);
    if (mapped_bytes <= HEAP_COUNT_ALWAYS_BYTES || at_ns == 0 ||
        now_ns - at_ns >= (mapped_bytes >> 20) * HEAP_COUNT_NS_PER_MIB)
        return heap_count_at(now_ns);
    return (struct heap_use){LOAD_ONCE(heap.counted.used_bytes), LOAD_ONCE(heap.counted.n_used)};
}

size_t heap_mapped_bytes(void)
{
    return arena_used_bytes();
}

size_t heap_committed_bytes(void)
{
    return arena_committed_bytes();
}

size_t heap_purged_bytes(void)
{
    return arena_clean_bytes();
}

/* ---- giving back ---- */

static size_t heap_purge(bool also_recent)
{
    size_t bytes = arena_purge(also_recent);
    counter_add(COUNTER_BYTES_PURGED, bytes);
    return bytes;
}

void heap_expect_reuse(uint64_t within_ns)
{
    STORE_ONCE(heap.reuse_ns, within_ns < HEAP_REUSE_MAX_NS ? within_ns : HEAP_REUSE_MAX_NS);
}

static uint64_t heap_decay_ns(void)
{
    uint64_t reuse_ns = LOAD_ONCE(heap.reuse_ns);
    return reuse_ns > HEAP_DECAY_NS ? reuse_ns : HEAP_DECAY_NS;
}

static void heap_age(void)
{
    STORE_ONCE(heap.n_new_slices, 0);
    heap_purge(false);
    arena_age();
}

void heap_decay(uint64_t now_ns)
{
    uint64_t last = __atomic_load_n(&heap.last_decay_ns, __ATOMIC_RELAXED);
    if (now_ns - last < heap_decay_ns() ||
        !__atomic_compare_exchange_n(&heap.last_decay_ns, &last, now_ns, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return;
    tcache_unpark_all();
    tcache_release_of_waiting(false);
    central_release_empty();
    heap_age();
}

/* What lies free while as many slices become spans as there are in use is too much, however short that while was. */
void heap_decay_by_work(void)
{
    size_t n_new = LOAD_ONCE(heap.n_new_slices);
    if (n_new < HEAP_TURNOVER_MIN_SLICES || n_new < arena_used_bytes() >> SLICE_SHIFT || LOAD_ONCE(heap.reuse_ns) != 0)
        return;
    if (__atomic_exchange_n(&heap.n_new_slices, 0, __ATOMIC_RELAXED) < n_new) /* of two threads one */
        return;
    __atomic_store_n(&heap.last_decay_ns, os_clock_coarse_ns(), __ATOMIC_RELAXED); /* aged twice at once, all would go that has just become free */
    heap_age();
}

size_t heap_trim(size_t keep_bytes)
{
    struct tcache *tc = tcache_self;
    size_t bytes = tc != &tcache_none ? tcache_trim(tc) : 0;
    tcache_unpark_all();
    bytes += tcache_release_of_waiting(true);
    central_release_empty();
    bytes += central_trim();
    return arena_dirty_bytes() <= keep_bytes ? bytes : bytes + heap_purge(true);
}

/* ---- walking ---- */

/* The first lines of a descriptor some slices on, whoever's it will be then: what is asked for is not used, so that the walk
 * waits for memory once in a while and not at every span. */
ALWAYS_INLINE void heap_walk_ahead(size_t i, size_t n)
{
    if (i + HEAP_WALK_AHEAD >= n)
        return;
    const char *s = (const char *)span_of_ref(LOAD_ONCE(heap_map.slices[i + HEAP_WALK_AHEAD].span));
    for (size_t at = 0; at < HEAP_WALK_BYTES; at += HEAP_LINE_BYTES)
        __builtin_prefetch(s + at);
}

void heap_walk_spans(void (*fn)(struct span *s, void *ctx), void *ctx)
{
    size_t n = __atomic_load_n((const uintptr_t *)&heap_map.arena_bytes, __ATOMIC_ACQUIRE) >> SLICE_SHIFT;
    for (size_t i = 0; i < n;) {
        heap_walk_ahead(i, n);
        uint32_t ref = LOAD_ONCE(heap_map.slices[i].span);
        if (ref == 0 || heap_map.slices[i].slice_no != 0) {
            i++;
            continue;
        }
        struct span *s = span_of_ref(ref);
        uint32_t n_slices = s->n_slices; /* read before fn: it may release the span */
        fn(s, ctx);
        i += n_slices == 0 ? 1 : n_slices;
    }
}

/* ---- the collector's grip ---- */

static void heap_settle_span(struct span *s, void *ctx)
{
    (void)ctx;
    uint32_t flags = span_flags(s);
    if ((flags & SPAN_UNSWEPT) != 0)
        span_sweep(s);
    else if ((flags & SPAN_REMOTE) != 0)
        span_drain(s); /* forwarded to an inbox that was empty before; there its owner will find nothing left to do */
}

/* Everybody's messages are taken, so that the spans of a thread that sleeps can be released. */
void heap_settle(void)
{
    heap_map.cycle_no = heap_map.cycle_no == UINT8_MAX ? 1 : heap_map.cycle_no + 1;
    for (struct tcache *tc = tcache_first(); tc != NULL; tc = tc->next) {
        tc->tiny_at = tc->tiny_end = 0; /* nothing keeps a block in which only room is left */
        if (tc->is_active)
            tcache_drain_inbox(tc);
    }
    central_drain();
    heap_walk_spans(heap_settle_span, NULL);
}

uint32_t heap_publish_dead(struct span *s, uint32_t *n_live)
{
    uint32_t n_dead = span_publish_dead(s, probation_is_on(), n_live);
    if (n_dead == 0 || span_is_large(s))
        return n_dead;
    if (atomic_load(&s->owner) != NULL)
        tcache_reopen(s);
    else
        central_offer(s);
    return n_dead;
}

/* A large block's flags say SPAN_LARGE, and nobody sends it messages: retiring it is as good. */
bool heap_release_dead_span(struct span *s)
{
    if (!span_retire_empty(s)) /* it is in an inbox: its owner will find it empty */
        return false;
    tcache_detach(s);
    heap_release_span(s);
    counter_add(COUNTER_SPANS_RECLAIMED, 1);
    return true;
}

/* ---- fork ---- */

/* Entries that no first slice covers are left over from a span that was being made or ended; a large block that was
 * growing may lack some. */
static void heap_fork_mend_slices(void)
{
    size_t n = heap_map.arena_bytes >> SLICE_SHIFT;
    for (size_t i = 0; i < n;) {
        struct slice *e = &heap_map.slices[i];
        struct span *s = span_of_ref(e->span);
        if (e->span != 0 && e->slice_no == 0 && s->is_ready) {
            if (span_is_large(s))
                span_publish(s);
            i += s->n_slices;
            continue;
        }
        if (e->span != 0)
            *e = (struct slice){.flavor = TOMB_NONE, .taken_in = e->taken_in};
        i++;
    }
}

/* Free ones were in the stash of a vanished thread, or it had freed them by half. */
static void heap_fork_adopt_large(struct span *s, bool is_mine)
{
    if (is_mine && s->list_no == LIST_STASH)
        return;
    list_init(&s->link);
    s->list_no = LIST_LARGE;
    atomic_store(&s->owner, NULL);
    if ((s->words[0].free & 1) != 0)
        heap_large_free(s, TOMB_FREED);
}

/* Spans of vanished threads become central's; messages on their way are taken. */
static void heap_fork_adopt_span(struct span *s, void *ctx)
{
    struct tcache *me = ctx;
    bool is_mine = me != &tcache_none && atomic_load(&s->owner) == me;
    atomic_fetch_and(&s->flags, ~(uint64_t)SPAN_REMOTE);
    if (span_is_large(s)) {
        heap_fork_adopt_large(s, is_mine);
        return;
    }
    span_drain(s);
    if (is_mine) {
        if (s->list_no == LIST_FULL && span_free_count(s) != 0)
            tcache_reopen(s);
        span_own(s, me, &me->inbox);
        return;
    }
    list_init(&s->link);
    s->list_no = LIST_NONE;
    central_give(s);
}

void heap_fork_child(void)
{
    if (!heap_is_ready()) {
        __atomic_store_n(&heap.init_state, HEAP_INIT_NONE, __ATOMIC_RELEASE); /* a vanished thread was at it */
        return;
    }
    meta_fork_child();
    span_pool_fork_child();
    heap_fork_mend_slices();
    arena_fork_child();
    central_fork_child();
    tcache_fork_child();
    heap_walk_spans(heap_fork_adopt_span, tcache_self);
}
