/* See sample.h.
 *
 * sample_left counts down the bytes to the next sample, 0 where each block is one; each byte that is handed out is taken off once: with its window
 * when that opens, by its block where the window is veiled, by an estimate where a slot went round in an open window.
 */
#include "heap/sample.h"

#include "base/geometric.h"
#include "os/os.h"

_Static_assert(SAMPLE_TICK_FREES <= UINT16_MAX, "a bin counts what one tick may be due");

uint64_t sample_rate_bytes;

void sample_set_rate(uint64_t rate_bytes)
{
    STORE_ONCE(sample_rate_bytes, rate_bytes);
}

/* A new rate begins with a new distance. */
static void sample_begin(struct tcache *tc, uint64_t rate)
{
    if (tc->sample_random == 0)
        tc->sample_random = os_entropy() | 1;
    tc->sample_rate = rate;
    tc->sample_left = (int64_t)geometric_next(&tc->sample_random, rate);
}

/* No block passes by a sample until the next distance begins. */
static void sample_forget_distance(struct tcache *tc)
{
    tc->sample_rate = 0;
    tc->sample_left = 0;
}

/* true: a sample lies in these bytes, and the next distance has begun behind them. pre: rate > 1. */
static bool sample_debit(struct tcache *tc, uint64_t rate, size_t bytes)
{
    if (UNLIKELY(tc->sample_rate != rate))
        sample_begin(tc, rate);
    if (tc->sample_left > (int64_t)bytes) {
        tc->sample_left -= (int64_t)bytes;
        return false;
    }
    tc->sample_left = (int64_t)geometric_next(&tc->sample_random, rate);
    return true;
}

/* ---- windows ---- */

static size_t sample_window_bytes(const struct tcache_bin *bin)
{
    return (size_t)bits_popcount64(*sample_hidden_word(bin)) * bin->size;
}

static void sample_veil(struct tcache_bin *bin)
{
    STORE_ONCE(bin->word, &tcache_no_word);
    bin->is_veiled = true;
}

static void sample_unveil(struct tcache_bin *bin)
{
    bin->is_veiled = false;
    STORE_ONCE(bin->word, sample_hidden_word(bin));
}

/* What is left of a veiled window, bytes, may be handed out fast if no sample lies in it. One that is used up stays veiled: slots that
 * are freed into it from now on are counted by the block. */
static void sample_settle(struct tcache *tc, struct tcache_bin *bin, size_t bytes)
{
    uint64_t rate = sample_rate();

    if (rate == 0) {
        sample_unveil(bin);
        return;
    }
    if (rate == 1)
        sample_forget_distance(tc);
    if (rate == 1 || bin->n_due != 0 || bytes == 0)
        return;
    if (UNLIKELY(tc->sample_rate != rate))
        sample_begin(tc, rate);
    if (tc->sample_left <= (int64_t)bytes)
        return;
    tc->sample_left -= (int64_t)bytes;
    sample_unveil(bin);
}

void sample_opened_near(struct tcache *tc, struct tcache_bin *bin, size_t bytes)
{
    sample_veil(bin);
    sample_settle(tc, bin, bytes);
}

void sample_veil_all(struct tcache *tc)
{
    sample_forget_distance(tc);
    for (unsigned f = 0; f < FLAVOR_N; f++)
        for (unsigned c = 0; tc->sets[f] != NULL && c < tcache_n_bins(tc->sets[f]); c++)
            if (tcache_bin_of(tc->sets[f], c)->span != NULL)
                sample_veil(tcache_bin_of(tc->sets[f], c));
}

void *sample_pop(struct tcache *tc, struct tcache_bin *bin)
{
    uint64_t rate = sample_rate(), *word = sample_hidden_word(bin), free_bits = *word;
    uint32_t n_due = bin->n_due;

    if (free_bits == 0)
        return NULL;
    __atomic_store_n(word, free_bits & (free_bits - 1), __ATOMIC_RELAXED);
    if (rate == 1)
        n_due = 1;
    else if (rate != 0)
        n_due += sample_debit(tc, rate, bin->size);
    tc->sample_due = n_due;
    bin->n_due = 0;
    sample_settle(tc, bin, sample_window_bytes(bin));
    return sample_block(bin, free_bits);
}

/* n blocks went round unseen: how many of them would have been samples. */
static uint32_t sample_estimate(struct tcache *tc, uint64_t rate, size_t size_bytes)
{
    uint32_t n_samples = 0;

    if (UNLIKELY(tc->sample_rate != rate))
        sample_begin(tc, rate);
    for (uint64_t n = SAMPLE_TICK_FREES; n != 0; n--) {
        uint64_t n_before = ((uint64_t)tc->sample_left - 1) / size_bytes; /* blocks that end before the sample */
        if (n_before >= n) {
            tc->sample_left -= (int64_t)(n * size_bytes);
            break;
        }
        n -= n_before;
        tc->sample_left = (int64_t)geometric_next(&tc->sample_random, rate);
        n_samples++;
    }
    return n_samples;
}

/* Only a free into a window that is open just now is of a slot that malloc will take again without being seen. */
void sample_tick(struct tcache *tc, struct span *s, uint32_t idx)
{
    uint64_t rate = sample_rate();
    struct tcache_bin *bin = tcache_bin_of(tc->sets[s->flavor], s->class_no);

    if (rate == 0 || bin->word != &s->words[idx >> 6].free)
        return;
    if (tc->sample_rate == rate)
        tc->sample_left += (int64_t)sample_window_bytes(bin);
    sample_veil(bin);
    if (rate > 1)
        bin->n_due = (uint16_t)sample_estimate(tc, rate, s->size_bytes);
    sample_settle(tc, bin, sample_window_bytes(bin));
}

uint32_t sample_take_due(struct tcache *tc)
{
    uint32_t n_due = tc->sample_due;

    tc->sample_due = 0;
    return n_due;
}

uint32_t sample_large(struct tcache *tc, size_t size_bytes)
{
    uint64_t rate = sample_rate();

    return rate <= 1 ? (uint32_t)rate : sample_debit(tc, rate, size_bytes);
}

/* ---- spans ---- */

static struct span *sample_span(uintptr_t addr)
{
    return span_of_ref(LOAD_ONCE(slice_of(addr)->span)); /* the nil span has no flag */
}

void sample_flag_set(uintptr_t start)
{
    struct span *s = sample_span(start);

    if ((span_flags(s) & SPAN_SAMPLED) == 0)
        span_flag_set(s, SPAN_SAMPLED);
}

bool sample_is_flagged(uintptr_t addr)
{
    if (!heap_contains(addr))
        return false;
    return (atomic_load_explicit(&sample_span(addr)->flags, memory_order_relaxed) & SPAN_SAMPLED) != 0;
}
