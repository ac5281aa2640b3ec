/* Thread caches: windows and lists; see tcache.h. The walk: tcache_refill. Whose a cache is: tcache_life.c.
 *
 * A span of a thread is on exactly one place of its (flavor, class): the bin (LIST_CURRENT), `available`, or `full`.
 * It goes   new or adopted -> current -> full (no slot left) -> available (a slot was freed) -> current ...
 */
#include "heap/tcache.h"

#include "base/counters.h"
#include "heap/arena.h"
#include "heap/central.h"
#include "heap/heap.h"
#include "heap/sample.h"
#include "heap/stash.h"
#include "heap/tcache_inl.h"
#include "os/critical_inl.h"
#include "os/os.h"

enum { TCACHE_PASS_OVER_MAX = 8, TCACHE_PASS_OVER_SHARE = 2 };

uint64_t tcache_no_word;

struct tcache tcache_none = {.malloc_set = {.bins = {[0 ... SIZECLASS_N_SMALL - 1] = TCACHE_EMPTY_BIN}},
                             .ticks = INT64_MAX,
                             .seen = (struct inbox_seen *)inbox_seen_nothing};
__thread struct tcache *tcache_self __attribute__((tls_model("initial-exec"))) = &tcache_none;

const struct tcache_lists tcache_no_lists[SIZECLASS_N];

static void tcache_list_push(struct list *l, struct span *s, enum span_list list_no)
{
    if (l->next == NULL)
        list_init(l);
    list_push_back(l, &s->link);
    s->list_no = (uint8_t)list_no;
}

static struct span *tcache_list_pop(struct list *l)
{
    if (tcache_list_is_empty(l))
        return NULL;
    struct span *s = LIST_ENTRY(list_pop_front(l), struct span, link);
    s->list_no = LIST_NONE;
    return s;
}

/* ---- windows ---- */

/* Of what is handed on, so much is kept back that what becomes less, again and again, seldom leads here again. */
void tcache_account(struct tcache *tc, int64_t bytes)
{
    int64_t sum = (int64_t)tc->used_delta_bytes + bytes, kept = 0;
    if (sum < 0)
        kept = TCACHE_ACCOUNT_BYTES / 2;
    else if (sum < TCACHE_ACCOUNT_BYTES)
        kept = sum;
    tc->used_delta_bytes = (size_t)kept;
    if (sum != kept)
        heap_add_used((size_t)(sum - kept));
}

/* pre: word w has a free slot. */
static void tcache_open_window(struct tcache *tc, struct tcache_bin *bin, struct span *s, uint32_t w)
{
    uint64_t free_bits = s->words[w].free;
    bin->span = s;
    bin->size = (uint32_t)s->size_bytes;
    tcache_move_window(bin, s, w, free_bits);
    s->list_no = LIST_CURRENT;
    span_note_use(s);
    size_t bytes = (size_t)bits_popcount64(free_bits) * s->size_bytes;
    tcache_account(tc, (int64_t)bytes);
    uint64_t rate = sample_rate();
    if (UNLIKELY(rate != 0))
        sample_opened(tc, bin, rate, bytes);
}

/* Most threads never come here: what they only look at takes no page of theirs, not even one that would be read as zeroes. */
static struct tcache_lists *tcache_lists_to_write(struct tcache_set *set, unsigned class_no)
{
    set->lists = set->own_lists;
    return &set->lists[class_no];
}

/* No slot is left, so each slot was handed out since it was taken. */
static void tcache_mark_full(struct tcache_set *set, struct span *s)
{
    struct span_cold *cold = span_cold(s);
    if ((span_flags(s) & SPAN_TAKEN) != 0) {
        for (uint32_t w = 0; w < s->n_words; w++)
            __atomic_store_n(&cold[w].taken, 0, __ATOMIC_RELAXED);
        span_flag_clear(s, SPAN_TAKEN);
    }
    span_flag_set(s, SPAN_FULL);
    tcache_list_push(&tcache_lists_to_write(set, s->class_no)->full, s, LIST_FULL);
}

void tcache_reopen(struct span *s)
{
    struct tcache *tc = atomic_load(&s->owner);
    if (s->list_no == LIST_FULL) {
        list_remove(&s->link);
        tcache_list_push(&tcache_lists_to_write(tc->sets[s->flavor], s->class_no)->available, s, LIST_AVAILABLE);
    }
    span_flag_clear(s, SPAN_FULL);
}

/* ---- messages ---- */

void tcache_drain_inbox(struct tcache *tc)
{
    for (struct span *s = inbox_take_all(&tc->inbox, false), *next; s != NULL; s = next) {
        next = atomic_load_explicit(&s->inbox_next, memory_order_relaxed);
        if (inbox_receive(&tc->inbox, s) && s->list_no == LIST_FULL)
            tcache_reopen(s);
    }
}

/* ---- refill ---- */

/* What others freed is taken, and until the next time they need not look at free bits, which malloc writes: see inbox_inl.h. */
static void tcache_drain_quietly(struct span *s)
{
    span_drain(s);
    span_begin_quiet(s);
}

/* Make s the bin's span. false: it has no slot (it goes to the full list). Messages are read where they lie: the span stays
 * announced, so that whoever frees in it all the time need not announce it after every window. */
static bool tcache_use(struct tcache *tc, struct tcache_set *set, struct span *s)
{
    uint32_t flags = span_flags(s);
    if ((flags & SPAN_UNSWEPT) != 0)
        span_sweep(s);
    else if ((flags & SPAN_REMOTE) != 0)
        tcache_drain_quietly(s);
    uint32_t w = tcache_find_word(s);
    if (w == s->n_words) {
        tcache_mark_full(set, s);
        return false;
    }
    tcache_open_window(tc, tcache_bin_of(set, s->class_no), s, w);
    return true;
}

/* The first span, but nearly empty ones are passed over while there are others: left alone, they become empty. */
static struct span *tcache_pop_available(struct list *l)
{
    struct span *s = tcache_list_pop(l);
    for (int i = 0; s != NULL && i < TCACHE_PASS_OVER_MAX && !list_is_empty(l); i++) {
        if (span_free_count(s) <= s->n_blocks - s->n_blocks / TCACHE_PASS_OVER_SHARE)
            break;
        tcache_list_push(l, s, LIST_AVAILABLE);
        s = tcache_list_pop(l);
    }
    return s;
}

static bool tcache_refill_own(struct tcache *tc, struct tcache_set *set, unsigned class_no)
{
    struct tcache_bin *bin = tcache_bin_of(set, class_no);
    struct span *s = bin->span;
    if (s != NULL) {
        tcache_close_window(bin);
        s->list_no = LIST_NONE;
        if (tcache_use(tc, set, s))
            return true;
    }
    while ((s = tcache_pop_available(&set->lists[class_no].available)) != NULL)
        if (tcache_use(tc, set, s))
            return true;
    return false;
}

static bool tcache_adopt(struct tcache *tc, struct tcache_set *set, unsigned flavor, unsigned class_no)
{
    struct span *s;
    while ((s = central_take(flavor, class_no, tc)) != NULL) {
        counter_add(COUNTER_SPANS_ADOPTED, 1);
        if (tcache_use(tc, set, s))
            return true;
    }
    return false;
}

bool tcache_refill(struct tcache *tc, unsigned flavor, unsigned class_no)
{
    struct tcache_set *set = tcache_set_of(tc, flavor, class_no);
    if (set == NULL)
        return false;
    if (++tc->n_refills % TCACHE_TICK_REFILLS == 0)
        tcache_tick(tc);
    if (tcache_refill_own(tc, set, class_no))
        return true;
    tcache_drain_inbox(tc); /* only now: each span that is taken out has to be announced again */
    if (tcache_refill_own(tc, set, class_no) || tcache_adopt(tc, set, flavor, class_no))
        return true;
    while (tcache_unpark_one())
        if (tcache_adopt(tc, set, flavor, class_no))
            return true;
    return false;
}

bool tcache_refill_new(struct tcache *tc, unsigned flavor, unsigned class_no)
{
    struct tcache_set *set = tcache_set_of(tc, flavor, class_no);
    tcache_make_room(tc, sizeclass_span_slices(class_no));
    struct span *s = set == NULL ? NULL : heap_new_span(class_no, flavor);
    if (s == NULL)
        return false;
    span_own(s, tc, &tc->inbox);
    return tcache_use(tc, set, s);
}

void *tcache_pop(struct tcache *tc, unsigned flavor, unsigned class_no)
{
    struct tcache_set *set = tcache_set_of(tc, flavor, class_no);
    if (set == NULL)
        return NULL;
    struct tcache_bin *bin = tcache_bin_of(set, class_no);
    uint64_t free_bits = *bin->word;
    if (free_bits == 0)
        return UNLIKELY(bin->is_veiled) ? sample_pop(tc, bin) : NULL;
    __atomic_store_n(bin->word, free_bits & (free_bits - 1), __ATOMIC_RELAXED);
    return (void *)(bin->base + (uintptr_t)bits_ctz64(free_bits) * bin->size);
}

bool tcache_step(struct tcache *tc, unsigned flavor, unsigned class_no)
{
    struct tcache_set *set = tc->sets[flavor];
    if (set == NULL || class_no >= tcache_n_bins(set))
        return false;
    struct tcache_bin *bin = tcache_bin_of(set, class_no);
    if (!tcache_may_step(tc, bin))
        return false;
    struct span *s = bin->span;
    uint32_t w = tcache_find_word(s);
    if (w == s->n_words)
        return false;
    tc->n_refills++;
    tcache_open_window(tc, bin, s, w);
    return true;
}

/* ---- ending ---- */

static void tcache_orphan(struct span *s)
{
    s->list_no = LIST_NONE;
    if (span_retire_empty(s)) {
        heap_release_span(s);
        return;
    }
    central_give(s);
}

static void tcache_orphan_list(struct list *l)
{
    for (struct span *s; (s = tcache_list_pop(l)) != NULL;)
        tcache_orphan(s);
}

static void tcache_orphan_set(struct tcache_set *set)
{
    for (unsigned c = 0; c < tcache_n_bins(set); c++) {
        struct tcache_bin *bin = tcache_bin_of(set, c);
        struct span *s = bin->span;
        tcache_close_window(bin);
        if (s != NULL)
            tcache_orphan(s);
        tcache_orphan_list(&set->lists[c].available);
        tcache_orphan_list(&set->lists[c].full);
    }
}

/* The spans leave first, each with its next inbox. So whoever finds this one closed has another to go to, and nobody
 * waits for us; what was announced here meanwhile is sent after its span. */
static void tcache_close_inbox(struct tcache *tc)
{
    for (struct span *s = inbox_take_all(&tc->inbox, true), *next; s != NULL; s = next) {
        next = atomic_load_explicit(&s->inbox_next, memory_order_relaxed);
        bool is_mine = inbox_receive(&tc->inbox, s);
        ASSERT(!is_mine);
    }
}

void tcache_abandon(struct tcache *tc)
{
    tcache_drain_inbox(tc);
    stash_release(tc);
    for (unsigned f = 0; f < FLAVOR_N; f++)
        if (tc->sets[f] != NULL)
            tcache_orphan_set(tc->sets[f]);
    tcache_close_inbox(tc);
    heap_add_used(tc->used_delta_bytes);
    tc->used_delta_bytes = 0;
    tc->tiny_at = tc->tiny_end = 0;
    atomic_store_explicit(&tc->thread, NULL, memory_order_relaxed);
    __atomic_store_n(&tc->is_active, false, __ATOMIC_RELEASE);
}

static __thread struct tcache *tcache_kept __attribute__((tls_model("initial-exec")));

void tcache_cut(void)
{
    tcache_kept = tcache_self;
    STORE_ONCE(tcache_self, &tcache_none);
}

void tcache_mend(void)
{
    STORE_ONCE(tcache_self, tcache_kept);
}

void tcache_detach(struct span *s)
{
    struct tcache *tc = atomic_load(&s->owner);
    if (s->list_no == LIST_CURRENT)
        tcache_close_window(tcache_bin_of(tc->sets[s->flavor], s->class_no));
    else if (s->list_no == LIST_STASH)
        stash_drop(s);
    else if (list_is_linked(&s->link))
        list_remove(&s->link);
    s->list_no = LIST_NONE;
}

/* ---- checking ---- */

static size_t tcache_check_list(struct tcache *tc, struct list *l, enum span_list list_no)
{
    size_t n = 0;
    if (l->next == NULL)
        return 0;
    CHECK(list_check(l));
    LIST_FOREACH(node, l) {
        struct span *s = LIST_ENTRY(node, struct span, link);
        CHECK(atomic_load(&s->owner) == tc && s->list_no == list_no);
        CHECK(atomic_load(&s->inbox) == &tc->inbox);
        n++;
    }
    return n;
}

static size_t tcache_check_bin(struct tcache *tc, struct tcache_bin *bin)
{
    struct span *s = bin->span;
    if (s == NULL) {
        CHECK(bin->word == &tcache_no_word && !bin->is_veiled);
        return 0;
    }
    CHECK(atomic_load(&s->owner) == tc && s->list_no == LIST_CURRENT);
    CHECK(bin->word == (bin->is_veiled ? &tcache_no_word : &s->words[s->cursor].free));
    CHECK(bin->base == span_block(s, s->cursor * 64) && bin->size == s->size_bytes);
    return 1;
}

size_t tcache_check(struct tcache *tc)
{
    size_t n = 0;
    CHECK(tcache_no_word == 0);
    for (unsigned f = 0; f < FLAVOR_N; f++)
        for (unsigned c = 0; tc->sets[f] != NULL && c < tcache_n_bins(tc->sets[f]); c++) {
            n += tcache_check_bin(tc, tcache_bin_of(tc->sets[f], c));
            n += tcache_check_list(tc, &tc->sets[f]->lists[c].available, LIST_AVAILABLE);
            n += tcache_check_list(tc, &tc->sets[f]->lists[c].full, LIST_FULL);
        }
    n += stash_check(tc);
    CHECK(n == 0 || tc->is_active);
    CHECK(!tc->is_parked || (tc->is_active && tc->tid == 0));
    return n;
}
