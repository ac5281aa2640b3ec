/* See central.h. */
#include "heap/central.h"

#include "base/counters.h"
#include "heap/heap.h"
#include "os/critical_inl.h"
#include "os/os.h"

/* Zero until its first span comes: a small program does not even read the table. */
struct central_class {
    struct os_lock lock;
    struct list available; /* LIST_CENTRAL */
    struct inbox inbox;
};

static struct central_class central[FLAVOR_N][SIZECLASS_N] BULKY;
static bool central_is_used; /* some class was locked */

static void central_lock(struct central_class *c)
{
    STORE_ONCE(central_is_used, true);
    STORE_ONCE(c->lock.rank, OS_RANK_CENTRAL);
    os_lock(&c->lock);
    if (c->available.next == NULL)
        list_init(&c->available);
}

void central_fork_child(void)
{
    if (!central_is_used)
        return;
    for (unsigned f = 0; f < FLAVOR_N; f++)
        for (unsigned c = 0; c < SIZECLASS_N; c++)
            if (central[f][c].lock.rank != 0)
                central[f][c] = (struct central_class){0};
}

struct inbox *central_inbox(unsigned flavor, unsigned class_no)
{
    return &central[flavor][class_no].inbox;
}

static struct central_class *central_of(const struct span *s)
{
    return &central[s->flavor][s->class_no];
}

static void central_link_locked(struct central_class *c, struct span *s)
{
    s->list_no = LIST_CENTRAL;
    list_push_back(&c->available, &s->link);
}

void central_offer(struct span *s)
{
    struct central_class *c = central_of(s);
    central_lock(c);
    if (s->list_no == LIST_NONE)
        central_link_locked(c, s);
    os_unlock(&c->lock);
}

void central_give(struct span *s)
{
    struct central_class *c = central_of(s);
    ASSERT(s->list_no == LIST_NONE);
    central_lock(c);
    span_flag_clear(s, SPAN_FULL);
    span_own(s, NULL, &c->inbox);
    if (span_free_count(s) != 0 || (span_flags(s) & SPAN_UNSWEPT) != 0)
        central_link_locked(c, s);
    os_unlock(&c->lock);
}

/* Messages to orphans. Bits of an orphan are changed under its class's lock. */
static void central_drain_locked(struct central_class *c)
{
    for (struct span *s = inbox_take_all(&c->inbox, false), *next; s != NULL; s = next) {
        next = atomic_load_explicit(&s->inbox_next, memory_order_relaxed);
        if (inbox_receive(&c->inbox, s) && s->list_no == LIST_NONE)
            central_link_locked(c, s);
    }
}

static struct span *central_pop_locked(struct central_class *c)
{
    for (;;) {
        struct list *n = list_pop_front(&c->available);
        if (n == NULL)
            return NULL;
        struct span *s = LIST_ENTRY(n, struct span, link);
        s->list_no = LIST_NONE;
        if ((span_flags(s) & SPAN_UNSWEPT) != 0)
            span_sweep(s);
        if (span_free_count(s) != 0)
            return s;
    }
}

static bool central_is_idle(struct central_class *c)
{
    const struct list *first = LOAD_ONCE(c->available.next);
    return (first == NULL || first == &c->available) &&
           atomic_load_explicit(&c->inbox.head, memory_order_relaxed) == NULL;
}

struct span *central_take(unsigned flavor, unsigned class_no, struct tcache *tc)
{
    struct central_class *c = &central[flavor][class_no];
    if (!LOAD_ONCE(central_is_used) || central_is_idle(c))
        return NULL;
    central_lock(c);
    central_drain_locked(c);
    struct span *s = central_pop_locked(c);
    if (s != NULL)
        span_own(s, tc, &tc->inbox);
    os_unlock(&c->lock);
    return s;
}

/* Moves all empty spans of the class, retired, to the caller's list. */
static void central_take_empty(struct central_class *c, struct list *out)
{
    struct os_vm_drops drops;
    os_vm_drop_begin(&drops);
    central_lock(c);
    central_drain_locked(c);
    LIST_FOREACH_SAFE(n, after, &c->available) {
        struct span *s = LIST_ENTRY(n, struct span, link);
        if (!span_retire_empty(s)) {
            span_look_idle(s, &drops);
            continue;
        }
        list_remove(n);
        s->list_no = LIST_NONE;
        list_push_back(out, n);
    }
    span_trim_rest(&drops);
    os_unlock(&c->lock);
}

static size_t central_release_class(struct central_class *c)
{
    struct list empty;
    size_t n = 0;
    list_init(&empty);
    central_take_empty(c, &empty);
    for (struct list *l; (l = list_pop_front(&empty)) != NULL; n++)
        heap_release_span(LIST_ENTRY(l, struct span, link));
    return n;
}

size_t central_release_empty(void)
{
    size_t n = 0;
    if (!LOAD_ONCE(central_is_used))
        return 0;
    for (unsigned f = 0; f < FLAVOR_N; f++)
        for (unsigned k = 0; k < SIZECLASS_N; k++)
            if (!central_is_idle(&central[f][k]))
                n += central_release_class(&central[f][k]);
    return n;
}

static size_t central_trim_class(struct central_class *c)
{
    struct os_vm_drops drops;
    os_vm_drop_begin(&drops);
    central_lock(c);
    LIST_FOREACH(n, &c->available)
        span_trim(LIST_ENTRY(n, struct span, link), &drops);
    size_t bytes = span_trim_rest(&drops);
    os_unlock(&c->lock);
    return bytes;
}

size_t central_trim(void)
{
    size_t bytes = 0;
    if (!LOAD_ONCE(central_is_used))
        return 0;
    for (unsigned f = 0; f < FLAVOR_N; f++)
        for (unsigned k = 0; k < SIZECLASS_N; k++)
            if (!central_is_idle(&central[f][k]))
                bytes += central_trim_class(&central[f][k]);
    return bytes;
}

void central_drain(void)
{
    if (!LOAD_ONCE(central_is_used))
        return;
    for (unsigned f = 0; f < FLAVOR_N; f++)
        for (unsigned k = 0; k < SIZECLASS_N; k++) {
            struct central_class *c = &central[f][k];
            if (atomic_load_explicit(&c->inbox.head, memory_order_relaxed) == NULL)
                continue;
            central_lock(c);
            central_drain_locked(c);
            os_unlock(&c->lock);
        }
}

static size_t central_check_class(struct central_class *c, unsigned flavor, unsigned class_no)
{
    size_t n = 0;
    if (c->available.next == NULL)
        return 0;
    CHECK(list_check(&c->available));
    LIST_FOREACH(node, &c->available) {
        struct span *s = LIST_ENTRY(node, struct span, link);
        CHECK(s->list_no == LIST_CENTRAL && s->flavor == flavor && s->class_no == class_no);
        CHECK(atomic_load(&s->owner) == NULL && atomic_load(&s->inbox) == &c->inbox);
        n++;
    }
    return n;
}

size_t central_check(void)
{
    size_t n = 0;
    for (unsigned f = 0; f < FLAVOR_N; f++)
        for (unsigned k = 0; k < SIZECLASS_N; k++)
            n += central_check_class(&central[f][k], f, k);
    return n;
}
