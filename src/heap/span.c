/* See span.h. Descriptors are recycled by size and never given to anybody else, so that a reader who races with the end
 * of a span (heap_recount) reads a descriptor, if an old one. */
#include "heap/span.h"

#include <string.h>

#include "base/check.h"
#include "base/counters.h"
#include "heap/layout.h"
#include "heap/meta.h"
#include "heap/quarantine.h"
#include "heap/tcache.h"
#include "os/critical_inl.h"
#include "os/os.h"

enum {
    SPAN_MAX_WORDS = SLICE_SIZE / SIZECLASS_ALIGN / 64,
    NIL_SPAN_WORDS = 66,
};

static struct {
    struct os_lock lock;
    struct span *unused[SPAN_MAX_WORDS + 1]; /* by n_words, linked through inbox_next */
} span_pool = {.lock = OS_LOCK_INIT(OS_RANK_ARENA)};

void span_pool_fork_child(void)
{
    os_lock_reset(&span_pool.lock);
}

static size_t span_descriptor_bytes(uint32_t n_words)
{
    return sizeof(struct span) + n_words * sizeof(struct span_word);
}

static uint64_t *span_new_remote(uint32_t n_words)
{
    size_t remote_words = bits_round_up(SPAN_QUIET_WORDS + n_words, SPAN_LINE_WORDS);
    uint64_t *words = meta_alloc_sparse(remote_words * sizeof(uint64_t) + n_words * sizeof(struct span_cold));
    return words == NULL ? NULL : words + SPAN_QUIET_WORDS;
}

static uint64_t *span_nil_remote; /* until there are slices */

bool span_reserve_nil(void)
{
    struct span *nil = meta_alloc(span_descriptor_bytes(NIL_SPAN_WORDS));
    CHECK(nil == NULL || meta_ref(nil) == 0);
    span_nil_remote = span_new_remote(NIL_SPAN_WORDS);
    return nil != NULL && span_nil_remote != NULL;
}

void span_fill_nil(void)
{
    struct span *nil = span_of_ref(0);
    nil->n_words = NIL_SPAN_WORDS;
    nil->remote = span_nil_remote;
    nil->flavor = FLAVOR_GC_NOSCAN;
    for (uint32_t w = 0; w < NIL_SPAN_WORDS; w++) {
        nil->words[w].free = UINT64_MAX;
        nil->words[w].mark = UINT64_MAX;
    }
}

static struct span *span_pool_take(uint32_t n_words)
{
    os_lock(&span_pool.lock);
    struct span *s = span_pool.unused[n_words];
    if (s != NULL)
        span_pool.unused[n_words] = atomic_load_explicit(&s->inbox_next, memory_order_relaxed);
    os_unlock(&span_pool.lock);
    return s;
}

void span_delete(struct span *s)
{
    ASSERT(!list_is_linked(&s->link));
    s->is_ready = 0;
    layout_end(s);
    os_lock(&span_pool.lock);
    atomic_store_explicit(&s->inbox_next, span_pool.unused[s->n_words], memory_order_relaxed);
    SIGNAL_FENCE(); /* in this order for a fork child, too */
    STORE_ONCE(span_pool.unused[s->n_words], s);
    os_unlock(&span_pool.lock);
    counter_add(COUNTER_SPANS_RELEASED, 1);
}

/* All bits of a fresh span: every slot free (or, for a large block, handed out). */
static void span_reset_bits(struct span *s, bool is_free)
{
    for (uint32_t w = 0; w < s->n_words; w++) {
        s->words[w].free = is_free ? span_valid_mask(s, w) : 0;
        s->words[w].mark = ~span_valid_mask(s, w);
    }
}

/* The rest of the bits, of a descriptor that is used again: nothing dead, taken or remote. A late freer may have set a remote bit after
 * the end, the others are zero where the flags say so. What is zero is not written. */
static void span_reset_cold(struct span *s)
{
    if ((span_flags(s) & (SPAN_UNSWEPT | SPAN_TAKEN | SPAN_SUSPECT | SPAN_HOLDS)) != 0)
        memset(span_cold(s), 0, s->n_words * sizeof(struct span_cold));
    for (uint32_t w = 0; w < s->n_words; w++)
        if (s->remote[w] != 0)
            s->remote[w] = 0;
}

static void span_shape(struct span *s, unsigned class_no, uint32_t n_slices, size_t large_size_bytes)
{
    bool is_large = class_no == SIZECLASS_LARGE;
    s->size_bytes = is_large ? large_size_bytes : sizeclass_size(class_no);
    s->n_blocks = is_large ? 1 : (uint32_t)(((size_t)n_slices << SLICE_SHIFT) / s->size_bytes);
    s->n_slices = n_slices;
    s->class_no = (uint8_t)class_no;
}

/* Flags that a span has for ever. */
static uint64_t span_lasting_flags(unsigned class_no, unsigned flavor)
{
    uint64_t holds = quarantine_is_on() ? SPAN_HOLDS : 0;
    if (class_no == SIZECLASS_LARGE)
        return SPAN_LARGE | holds;
    return flavor == FLAVOR_GC_TINY ? SPAN_TINY : holds;
}

static uint32_t span_words_for(unsigned class_no, uint32_t n_slices)
{
    if (class_no == SIZECLASS_LARGE)
        return 1;
    return (uint32_t)((((size_t)n_slices << SLICE_SHIFT) / sizeclass_size(class_no) + 63) / 64);
}

static struct span *span_new_descriptor(uint32_t n_words)
{
    struct span *s = meta_alloc(span_descriptor_bytes(n_words));
    if (s == NULL)
        return NULL;
    s->n_words = n_words;
    s->remote = span_new_remote(n_words);
    if (s->remote != NULL)
        return s;
    meta_free(s, span_descriptor_bytes(n_words));
    return NULL;
}

struct span *span_new(unsigned class_no, unsigned flavor, uintptr_t start, uint32_t n_slices, size_t large_size_bytes)
{
    uint32_t n_words = span_words_for(class_no, n_slices);
    struct span *s = span_pool_take(n_words);
    if (s != NULL)
        span_reset_cold(s);
    else
        s = span_new_descriptor(n_words);
    if (s == NULL)
        return NULL;
    s->start = start;
    s->flavor = (uint8_t)flavor;
    s->fast_owner = NULL;
    s->cursor = 0;
    s->n_live_last = 0;
    s->list_no = LIST_NONE;
    list_init(&s->link);
    atomic_store_explicit(&s->owner, NULL, memory_order_relaxed);
    atomic_store_explicit(&s->inbox, NULL, memory_order_relaxed);
    uint64_t generation = atomic_load_explicit(&s->flags, memory_order_relaxed) & ~(uint64_t)SPAN_FLAGS;
    atomic_store_explicit(&s->flags, generation | span_lasting_flags(class_no, flavor), memory_order_relaxed);
    span_shape(s, class_no, n_slices, large_size_bytes);
    span_note_use(s);
    span_reset_bits(s, class_no != SIZECLASS_LARGE);
    if (!layout_begin(s)) {
        span_delete(s);
        return NULL;
    }
    __atomic_store_n(&s->is_ready, 1, __ATOMIC_RELEASE);
    counter_add(COUNTER_SPANS_CREATED, 1);
    return s;
}

/* Which span, and as what: the second half of an entry, in one store, after everything that it makes reachable. */
static void span_store_entry(struct slice *to, struct slice e)
{
    uint64_t half;
    memcpy(&half, &e.span, sizeof half);
    __atomic_store_n((uint64_t *)&to->span, half, __ATOMIC_RELEASE);
}

/* Last slice first: the entry with slice_no 0 makes the span exist (heap_fork_child). */
void span_publish(struct span *s)
{
    struct slice e = {.flavor = s->flavor, .span = meta_ref(s)};
    if (!span_is_large(s))
        e.recip = sizeclass_recip((uint32_t)s->size_bytes);
    struct slice *first = slice_of(s->start);
    for (uint32_t i = s->n_slices; i-- > 0;) {
        e.slice_no = i > UINT16_MAX ? UINT16_MAX : (uint16_t)i;
        e.taken_in = first[i].taken_in;
        first[i].recip = e.recip;
        span_store_entry(&first[i], e);
    }
}

/* First slice first, for the same reason. Reciprocals and places stay, so that a late free of a block can be told. */
void span_unpublish(struct span *s, enum slice_tomb tomb)
{
    struct slice *first = slice_of(s->start);
    for (uint32_t i = 0; i < s->n_slices; i++) {
        struct slice e = first[i];
        e.flavor = (uint8_t)(tomb == TOMB_TAKEN ? tomb + s->flavor : tomb);
        e.span = 0;
        if (tomb == TOMB_TAKEN)
            e.taken_in = heap_map.cycle_no;
        span_store_entry(&first[i], e);
    }
}

/* ---- flags and the owner's fast path ---- */

/* The order makes a lost race harmless: whoever sets a flag clears fast_owner afterwards, and the owner looks at the
 * flags again after it has set fast_owner. The worst outcome is a span that is slow for no reason; its next slow free
 * mends that. */
static void span_refresh_fast_owner(struct span *s)
{
    struct tcache *owner = atomic_load_explicit(&s->owner, memory_order_relaxed);
    __atomic_store_n(&s->fast_owner, owner, __ATOMIC_SEQ_CST);
    if (span_flags(s) != 0)
        __atomic_store_n(&s->fast_owner, NULL, __ATOMIC_SEQ_CST);
}

void span_flag_set(struct span *s, uint32_t flag)
{
    atomic_fetch_or(&s->flags, flag);
    __atomic_store_n(&s->fast_owner, NULL, __ATOMIC_SEQ_CST);
}

void span_flag_clear(struct span *s, uint32_t flag)
{
    if ((atomic_fetch_and(&s->flags, ~(uint64_t)flag) & SPAN_FLAGS & ~flag) == 0)
        span_refresh_fast_owner(s);
}

void span_own(struct span *s, struct tcache *owner, struct inbox *inbox)
{
    atomic_store_explicit(&s->owner, owner, memory_order_relaxed);
    atomic_store_explicit(&s->inbox, inbox, memory_order_release);
    if (span_flags(s) == 0)
        span_refresh_fast_owner(s);
    else
        __atomic_store_n(&s->fast_owner, NULL, __ATOMIC_SEQ_CST);
}

/* A late freer set its bit before the last one was drained, and then finds either REMOTE set here, so that we fail, or
 * another generation, so that it is done. */
bool span_retire_empty(struct span *s)
{
    uint64_t flags = atomic_load(&s->flags);
    if (!span_is_empty(s))
        return false;
    do {
        if ((flags & SPAN_REMOTE) != 0)
            return false;
    } while (!atomic_compare_exchange_weak(&s->flags, &flags, flags + SPAN_GENERATION));
    return true;
}

/* ---- bits ---- */

/* At no instruction is a slot both dead and free, or free without its taken bit, or that without its flag (fork child; remote freers). */
static uint64_t span_sweep_word(struct span *s, uint32_t w)
{
    struct span_cold *cold = &span_cold(s)[w];
    uint64_t dead = cold->dead;
    ASSERT((dead & s->words[w].free) == 0);
    if (dead == 0)
        return 0;
    if ((span_flags(s) & SPAN_TAKEN) == 0)
        atomic_fetch_or(&s->flags, SPAN_TAKEN);
    __atomic_store_n(&cold->dead, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&cold->taken, cold->taken | dead, __ATOMIC_RELEASE);
    __atomic_store_n(&s->words[w].free, s->words[w].free | dead, __ATOMIC_RELEASE);
    return dead;
}

bool span_sweep(struct span *s)
{
    uint64_t won = 0;
    span_drain(s); /* a dead block that the program has freed must not be freed again when its slot is in use */
    for (uint32_t w = 0; w < s->n_words; w++)
        won |= span_sweep_word(s, w);
    span_flag_clear(s, SPAN_UNSWEPT);
    return won != 0;
}

uint32_t span_free_count(const struct span *s)
{
    uint32_t n = 0;
    for (uint32_t w = 0; w < s->n_words; w++)
        n += bits_popcount64(LOAD_ONCE(s->words[w].free));
    return n;
}

bool span_is_empty(const struct span *s)
{
    const struct span_cold *cold = (span_flags(s) & SPAN_UNSWEPT) != 0 ? span_cold((struct span *)s) : NULL;
    for (uint32_t w = 0; w < s->n_words; w++)
        if ((s->words[w].free | (cold != NULL ? cold[w].dead : 0)) != span_valid_mask(s, w))
            return false;
    return true;
}

bool span_drop_taken(struct span *s, uint32_t idx)
{
    uint64_t *taken = &span_cold(s)[idx >> 6].taken;
    uint64_t bit = UINT64_C(1) << (idx & 63);
    bool was = (*taken & bit) != 0;
    __atomic_store_n(taken, *taken & ~bit, __ATOMIC_RELAXED);
    return was;
}

/* One word of messages. A block that is dead or taken and was freed by the program is one that we failed to see. */
static void span_drain_word(struct span *s, uint32_t w, uint64_t freed)
{
    struct span_cold *cold = &span_cold(s)[w];
    uint64_t unseen = freed & (cold->dead | (cold->taken & s->words[w].free));
    if (unseen != 0)
        counter_add(COUNTER_TAKEN_FREED, bits_popcount64(unseen));
    __atomic_store_n(&cold->dead, cold->dead & ~freed, __ATOMIC_RELAXED);
    ASSERT((freed & cold->suspect) == 0); /* the sender has told */
    uint64_t second = freed & s->words[w].free & ~cold->taken;
    if (second != 0 && !slice_is_doubtful(s->start))
        check_misuse(MISUSE_DOUBLE_FREE, span_block(s, w * 64 + bits_ctz64(second)));
    __atomic_store_n(&cold->taken, cold->taken & ~freed, __ATOMIC_RELAXED);
    span_set_free(&s->words[w], s->words[w].free | freed);
    if (UNLIKELY(quarantine_is_on()))
        quarantine_check_freed(s, w, freed);
}

/* The owner, a lock's holder, or the collector while the world is stopped: one at a time. */
static void span_step_period(struct span *s)
{
    __atomic_store_n(&s->remote[-1], s->remote[-1] + 1, __ATOMIC_RELEASE);
}

void span_end_quiet(struct span *s)
{
    if ((span_quiet_period(s) & 1) != 0) {
        span_step_period(s);
        atomic_thread_fence(memory_order_release); /* the bits come later */
    }
}

/* The sender that has set the flag may not have come to fast_owner yet. */
void span_begin_quiet(struct span *s)
{
    ASSERT((span_flags(s) & SPAN_REMOTE) != 0 && (span_quiet_period(s) & 1) == 0);
    if (s->fast_owner != NULL)
        __atomic_store_n(&s->fast_owner, NULL, __ATOMIC_SEQ_CST);
    span_step_period(s);
}

/* Sequentially consistent: whoever cleared SPAN_REMOTE before sees each bit whose setter had found it set (inbox.c). */
void span_drain(struct span *s)
{
    span_end_quiet(s);
    for (uint32_t w = 0; w < s->n_words; w++)
        if (__atomic_load_n(&s->remote[w], __ATOMIC_SEQ_CST) != 0)
            span_drain_word(s, w, __atomic_exchange_n(&s->remote[w], 0, __ATOMIC_SEQ_CST));
}

uint32_t span_count_suspects(struct span *s)
{
    uint32_t n = 0;
    if ((span_flags(s) & SPAN_SUSPECT) != 0)
        for (uint32_t w = 0; w < s->n_words; w++)
            n += bits_popcount64(span_cold(s)[w].suspect);
    return n;
}

static void span_set_suspects(struct span *s, uint32_t n_suspects)
{
    if (n_suspects != 0) {
        span_flag_set(s, SPAN_SUSPECT);
        counter_add(COUNTER_BLOCKS_SUSPECTED, n_suspects);
    } else if ((span_flags(s) & SPAN_SUSPECT) != 0) {
        span_flag_clear(s, SPAN_SUSPECT);
    }
}

/* What was and stays zero is not touched. */
uint32_t span_publish_dead(struct span *s, bool is_careful, uint32_t *n_live)
{
    struct span_cold *cold = span_cold(s);
    bool has_suspects = (span_flags(s) & SPAN_SUSPECT) != 0;
    uint32_t n_dead = 0, n_suspects = 0, live = 0;
    for (uint32_t w = 0; w < s->n_words; w++) {
        uint64_t mark = s->words[w].mark;
        uint64_t dead = ~s->words[w].free & ~mark; /* bits beyond the last block are marked */
        if (dead != 0 || has_suspects) {
            uint64_t suspects = is_careful ? dead & ~cold[w].suspect : 0;
            dead &= ~suspects;
            cold[w].dead = dead;
            cold[w].suspect = suspects;
            n_suspects += bits_popcount64(suspects);
        } else {
            ASSERT(cold[w].dead == 0);
        }
        n_dead += bits_popcount64(dead);
        live += bits_popcount64(mark & span_valid_mask(s, w));
        s->words[w].mark = ~span_valid_mask(s, w);
    }
    s->n_live_last = live;
    *n_live = live;
    span_set_suspects(s, n_suspects);
    if (n_dead != 0)
        span_flag_set(s, SPAN_UNSWEPT);
    return n_dead;
}

void span_clear_marks(struct span *s)
{
    for (uint32_t w = 0; w < s->n_words; w++)
        s->words[w].mark = ~span_valid_mask(s, w);
}

void span_check(struct span *s)
{
    struct span_cold *cold = span_cold(s);
    uint32_t flags = span_flags(s);
    for (uint32_t w = 0; w < s->n_words; w++) {
        uint64_t beyond = ~span_valid_mask(s, w);
        ASSERT_SLOW((s->words[w].free & beyond) == 0);
        ASSERT_SLOW((s->words[w].mark & beyond) == beyond);
        ASSERT_SLOW((cold[w].dead & (s->words[w].free | beyond)) == 0);
        ASSERT_SLOW((cold[w].suspect & (s->words[w].free | cold[w].dead | beyond)) == 0);
        ASSERT_SLOW(cold[w].suspect == 0 || (flags & SPAN_SUSPECT) != 0);
        ASSERT_SLOW(cold[w].dead == 0 || (flags & SPAN_UNSWEPT) != 0);
        ASSERT_SLOW((cold[w].taken & s->words[w].free) == 0 || (flags & SPAN_TAKEN) != 0);
        ASSERT_SLOW((cold[w].held & (s->words[w].free | cold[w].dead | cold[w].suspect | beyond)) == 0);
        ASSERT_SLOW(cold[w].held == 0 || (flags & SPAN_HOLDS) != 0);
        (void)beyond;
        (void)cold;
    }
    ASSERT_SLOW(s->fast_owner == NULL || (flags == 0 && s->fast_owner == atomic_load(&s->owner)));
    ASSERT_SLOW((flags & SPAN_LARGE) == 0 || span_is_large(s));
    ASSERT_SLOW((span_quiet_period(s) & 1) == 0 || (flags & SPAN_REMOTE) != 0);
    (void)flags;
}
