/* The life of thread caches; see tcache.h.
 *
 * What    a thread's cache when it begins to allocate, what becomes of it when the thread ends, and the child of a fork.
 * Owns    the list of all caches, and those that are parked.
 * Locks   CACHES (rank REGISTRY) for both lists; a parked cache belongs to whoever takes it from there.
 * Not here  what is in a cache: tcache.c.
 */
#include "heap/heap.h"
#include "heap/meta.h"
#include "heap/tcache.h"
#include "heap/tcache_inl.h"
#include "os/critical_inl.h"
#include "os/os.h"

static struct {
    struct os_lock lock;
    struct tcache *_Atomic first;
    struct tcache *parked; /* the last one first; read without the lock, too */
} tcaches = {.lock = OS_LOCK_INIT(OS_RANK_REGISTRY)};

struct tcache *tcache_first(void)
{
    return atomic_load_explicit(&tcaches.first, memory_order_acquire);
}

static void tcache_empty_bins(struct tcache_bin *bins, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        bins[i] = (struct tcache_bin)TCACHE_EMPTY_BIN;
}

/* false: no memory. A thread that needs no lists, as most do, touches no page of them. */
static bool tcache_set_init_locked(struct tcache_set *set)
{
    tcache_empty_bins(set->bins, SIZECLASS_N_SMALL);
    set->lists = (struct tcache_lists *)tcache_no_lists;
    set->own_lists = meta_alloc_sparse(sizeof(struct tcache_lists) * SIZECLASS_N);
    return set->own_lists != NULL;
}

static struct tcache *tcache_recycle_locked(void)
{
    for (struct tcache *tc = tcache_first(); tc != NULL; tc = tc->next)
        if (!__atomic_load_n(&tc->is_active, __ATOMIC_ACQUIRE)) /* pairs with the end of tcache_abandon */
            return tc;
    return NULL;
}

static struct tcache *tcache_new_locked(void)
{
    struct tcache *tc = meta_alloc(sizeof(struct tcache));
    if (tc == NULL)
        return NULL;
    if (!tcache_set_init_locked(&tc->malloc_set)) {
        meta_free(tc, sizeof(struct tcache));
        return NULL;
    }
    tc->sets[FLAVOR_MALLOC] = &tc->malloc_set;
    tc->seen = (struct inbox_seen *)inbox_seen_nothing;
    tc->next = tcache_first();
    atomic_store_explicit(&tcaches.first, tc, memory_order_release);
    return tc;
}

/* Threads that come and go one after the other hand their cache on, windows and all: neither do its spans change hands, nor
 * does the next thread go and look for them, one class after the other. */
static struct tcache *tcache_take_parked_locked(void)
{
    struct tcache *tc = tcaches.parked;
    if (tc == NULL)
        return NULL;
    STORE_ONCE(tcaches.parked, tc->next_parked);
    tc->is_parked = false;
    return tc;
}

static void tcache_park(struct tcache *tc)
{
    heap_add_used(tc->used_delta_bytes);
    tc->used_delta_bytes = 0;
    tc->tid = 0;
    atomic_store_explicit(&tc->thread, NULL, memory_order_relaxed);
    os_lock(&tcaches.lock);
    tc->is_parked = true;
    tc->next_parked = tcaches.parked;
    STORE_ONCE(tcaches.parked, tc);
    os_unlock(&tcaches.lock);
}

bool tcache_unpark_one(void)
{
    if (LOAD_ONCE(tcaches.parked) == NULL)
        return false;
    os_lock(&tcaches.lock);
    struct tcache *tc = tcache_take_parked_locked();
    os_unlock(&tcaches.lock);
    if (tc != NULL)
        tcache_abandon(tc);
    return tc != NULL;
}

void tcache_unpark_all(void)
{
    while (tcache_unpark_one())
        continue;
}

static struct tcache *tcache_idle_locked(void)
{
    struct tcache *tc = tcache_recycle_locked();
    if (tc == NULL)
        tc = tcache_new_locked();
    if (tc != NULL)
        atomic_store_explicit(&tc->inbox.head, NULL, memory_order_release);
    return tc;
}

struct tcache *tcache_get(void)
{
    struct tcache *tc = tcache_self;
    if (LIKELY(tc != &tcache_none))
        return tc;
    pid_t tid = os_gettid(); /* here: a system call is long for those who wait for the lock */
    if (tid != os_tls.tid && os_is_vfork_child()) /* it would stay the parent's, and count as that of a thread that is no more */
        return NULL;
    os_lock(&tcaches.lock);
    tc = tcache_take_parked_locked();
    if (tc == NULL)
        tc = tcache_idle_locked();
    if (tc != NULL) {
        tc->is_active = true;
        tc->tid = tid;
        tc->ticks = TCACHE_TICK_FREES;
        atomic_store_explicit(&tc->thread, os_tls.thread, memory_order_release);
        tcache_self = tc;
    }
    os_unlock(&tcaches.lock);
    return tc;
}

void tcache_note_thread(void)
{
    if (tcache_self != &tcache_none)
        tcache_self->tid = os_gettid();
}

static struct tcache_set *tcache_set_new(struct tcache *tc, unsigned flavor)
{
    os_lock(&tcaches.lock);
    struct tcache_set *set = meta_alloc(sizeof(struct tcache_set));
    if (set != NULL && tcache_set_init_locked(set))
        tc->sets[flavor] = set;
    else if (set != NULL)
        meta_free(set, sizeof(struct tcache_set));
    os_unlock(&tcaches.lock);
    return tc->sets[flavor];
}

/* Whole bins before whoever walks all of them may find any. */
COLD static bool tcache_begin_packed(struct tcache_set *set)
{
    struct tcache_bin *bins = meta_alloc(TCACHE_N_PACKED * sizeof(struct tcache_bin));
    if (bins == NULL)
        return false;
    tcache_empty_bins(bins, TCACHE_N_PACKED);
    SIGNAL_FENCE();
    STORE_ONCE(set->packed, bins);
    return true;
}

struct tcache_set *tcache_set_of(struct tcache *tc, unsigned flavor, unsigned class_no)
{
    struct tcache_set *set = tc->sets[flavor];
    if (UNLIKELY(set == NULL))
        set = tcache_set_new(tc, flavor);
    if (UNLIKELY(set != NULL && class_no >= tcache_n_bins(set) && !tcache_begin_packed(set)))
        return NULL;
    return set;
}

void tcache_retire(void)
{
    struct tcache *tc = tcache_self;
    if (tc == &tcache_none)
        return;
    tcache_self = &tcache_none;
    tcache_park(tc);
}

/* ---- fork ---- */

/* Other threads' lists may have been half changed when they vanished: they are forgotten, not walked. */
static void tcache_forget(struct tcache *tc)
{
    atomic_store(&tc->inbox.head, NULL);
    for (unsigned f = 0; f < FLAVOR_N; f++)
        for (unsigned c = 0; tc->sets[f] != NULL && c < tcache_n_bins(tc->sets[f]); c++) {
            tcache_close_window(tcache_bin_of(tc->sets[f], c));
            if (tc->sets[f]->lists != tcache_no_lists)
                tc->sets[f]->lists[c] = (struct tcache_lists){{NULL, NULL}, {NULL, NULL}};
        }
    tc->stash = (struct stash){0};
    tc->used_delta_bytes = 0;
    tc->tiny_at = tc->tiny_end = 0;
    tc->is_active = tc->is_parked = false;
}

void tcache_fork_child(void)
{
    os_lock_reset(&tcaches.lock);
    tcaches.parked = NULL;
    for (struct tcache *tc = tcache_first(); tc != NULL; tc = tc->next)
        if (tc != tcache_self)
            tcache_forget(tc);
    if (tcache_self != &tcache_none) {
        atomic_store(&tcache_self->inbox.head, NULL);
        tcache_self->tid = os_gettid();
    }
}
