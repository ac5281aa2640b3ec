/* See quarantine.h. */
#include "heap/quarantine.h"

#include <string.h>

#include "base/check.h"
#include "base/counters.h"
#include "heap/central.h"
#include "heap/heap.h"
#include "heap/inbox_inl.h"
#include "os/os.h"

enum {
    QUARANTINE_ADDRESS_BITS = 47,
    QUARANTINE_MOVED_MAX = 64 * 1024, /* more is given back to the kernel, whatever is in it */
    QUARANTINE_DROP_MIN = 256 * 1024, /* to clear less is cheaper than to have its pages faulted in again */
    QUARANTINE_HUGE_BYTES = 2 << 20,
};

struct quarantine_state quarantine_state;

static void quarantine_flag_span(struct span *s, void *ctx)
{
    (void)ctx;
    if (s->flavor != FLAVOR_GC_TINY)
        span_flag_set(s, SPAN_HOLDS);
}

void quarantine_begin(void)
{
    STORE_ONCE(quarantine_state.has_begun, true);
    heap_walk_spans(quarantine_flag_span, NULL);
}

/* ---- content ---- */

/* Words that lead into the heap, wherever the collector looks for them: in the middle of two as they stand. */
static void quarantine_clear_addresses(char *p, size_t n_bytes)
{
    for (size_t at = 0; at + sizeof(uint64_t) <= n_bytes; at += sizeof(uint32_t)) {
        uint64_t word;
        memcpy(&word, p + at, sizeof(word));
        if (heap_contains(at % sizeof(word) == 0 ? word & bits_low_mask(QUARANTINE_ADDRESS_BITS) : word))
            memset(p + at, 0, sizeof(word));
    }
}

/* Part of a huge page given back would split it, and behind a filter of system calls none may be made. */
static bool quarantine_may_drop(const struct span *s)
{
    return s->size_bytes >= QUARANTINE_DROP_MIN && !os_seccomp_is_on() &&
           (s->size_bytes >= QUARANTINE_HUGE_BYTES || !arena_is_huge(s->start));
}

static void quarantine_clear_large(const struct span *s)
{
    if (!quarantine_may_drop(s))
        memset((void *)s->start, 0, s->size_bytes);
    else if (os_vm_purge((void *)s->start, s->size_bytes) == 0)
        counter_add(COUNTER_BYTES_PURGED, s->size_bytes);
}

/* Not the stack that we run on, which a coroutine at its end may free. */
static void quarantine_clear(const struct span *s, uint32_t idx, bool is_moved)
{
    uintptr_t start = span_block(s, idx);
    if ((uintptr_t)__builtin_frame_address(0) - start < s->size_bytes)
        return;
    if (is_moved && s->size_bytes <= QUARANTINE_MOVED_MAX)
        quarantine_clear_addresses((char *)start, s->size_bytes);
    else if (span_is_large(s))
        quarantine_clear_large(s);
    else
        memset((void *)start, 0, s->size_bytes);
}

/* ---- into it ---- */

static bool quarantine_is_free(const struct span *s, uint32_t idx)
{
    uint64_t gone = __atomic_load_n(&s->words[idx >> 6].free, __ATOMIC_SEQ_CST) |
                    __atomic_load_n(&s->remote[idx >> 6], __ATOMIC_SEQ_CST);
    return ((gone >> (idx & 63)) & 1) != 0;
}

bool quarantine_hold(struct span *s, uint32_t idx, bool is_moved)
{
    uint64_t *held = &span_cold(s)[idx >> 6].held, bit = UINT64_C(1) << (idx & 63);
    ASSERT((span_flags(s) & SPAN_HOLDS) != 0);
    if (quarantine_is_free(s, idx))
        return false;
    quarantine_clear(s, idx, is_moved);
    return (__atomic_fetch_or(held, bit, __ATOMIC_SEQ_CST) & bit) == 0; /* and no look after it: it may have been given up by then */
}

/* ---- out of it ---- */

/* Slots that were won are found by the owner's next refill. */
static void quarantine_offer(struct span *s)
{
    if (span_is_large(s))
        return;
    if (atomic_load(&s->owner) != NULL)
        tcache_reopen(s);
    else
        central_offer(s);
}

static uint32_t quarantine_judge_word(struct span *s, uint32_t w, uint32_t *n_kept)
{
    struct span_cold *cold = &span_cold(s)[w];
    uint64_t released = cold->held & ~s->words[w].mark;
    ASSERT((cold->held & s->words[w].free) == 0);
    *n_kept += bits_popcount64(cold->held & ~released);
    if (released == 0)
        return 0;
    cold->held &= ~released;
    cold->taken &= ~released; /* left from before the slot was handed out again */
    span_set_free(&s->words[w], s->words[w].free | released);
    return bits_popcount64(released);
}

uint32_t quarantine_judge(struct span *s, uint32_t *n_kept)
{
    uint32_t n_released = 0;
    *n_kept = 0;
    span_end_quiet(s);
    for (uint32_t w = 0; w < s->n_words; w++)
        n_released += quarantine_judge_word(s, w, n_kept);
    if (n_released != 0)
        quarantine_offer(s);
    return n_released;
}

void quarantine_check_freed(struct span *s, uint32_t w, uint64_t freed)
{
    atomic_thread_fence(memory_order_seq_cst);
    uint64_t *held = &span_cold(s)[w].held, second = freed & __atomic_load_n(held, __ATOMIC_SEQ_CST);
    if (second == 0)
        return;
    if (!slice_is_doubtful(s->start))
        check_misuse(MISUSE_DOUBLE_FREE, span_block(s, w * 64 + bits_ctz64(second)));
    __atomic_fetch_and(held, ~second, __ATOMIC_SEQ_CST);
}

static void quarantine_end_large(struct span *s)
{
    __atomic_fetch_or(&s->words[0].free, 1, __ATOMIC_SEQ_CST);
    quarantine_check_freed(s, 0, 1);
    heap_large_free(s, TOMB_FREED);
}

/* Between the two atomic operations the block is as one in use, so its span is still there; with the second it may be gone. */
static void quarantine_release_span(struct span *s, void *ctx)
{
    size_t *n = ctx;
    if ((span_flags(s) & SPAN_HOLDS) == 0)
        return;
    for (uint32_t w = 0, n_words = s->n_words; w < n_words; w++) {
        if (__atomic_load_n(&span_cold(s)[w].held, __ATOMIC_RELAXED) == 0)
            continue;
        uint64_t bits = __atomic_exchange_n(&span_cold(s)[w].held, 0, __ATOMIC_SEQ_CST), flags_before = atomic_load(&s->flags);
        *n += bits_popcount64(bits);
        if (bits == 0)
            continue;
        if (span_is_large(s)) {
            quarantine_end_large(s);
            return;
        }
        __atomic_fetch_or(&s->remote[w], bits, __ATOMIC_SEQ_CST);
        inbox_announce(s, flags_before);
    }
}

size_t quarantine_release_all(void)
{
    size_t n = 0;
    heap_walk_spans(quarantine_release_span, &n);
    counter_add(COUNTER_HELD_FORCED, n);
    return n;
}
