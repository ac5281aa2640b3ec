/* malloc, free and the plain operators new and delete: the paths that every program is measured by.
 *
 * What    leaf functions in section gcm_fast. Each takes or sets one bit, or leaves a message for another thread, or jumps to a
 *         slow half.
 * Invariants  no frame, no call, no push: at every instruction the return address lies where the caller put
 *         it (the signal trampoline relies on it), and a thread found here by the stop signal is simply
 *         signalled again. A check after linking looks at the machine code.
 * Not here  every decision: alloc_slow.c, free_slow.c, cxx.c.
 */
#include "api/malloc_fast.h"

#include <stdint.h>
#include <stdlib.h>

/* What other files of ours define is reached without the global offset table. */
#pragma GCC visibility push(hidden)
#include "api/alloc.h"
#include "api/fast_inl.h"
#include "base/compiler.h"
#include "heap/inbox_inl.h"
#include "heap/sample.h"
#include "heap/span.h"
#include "heap/tcache_inl.h"
#include "os/os.h"
#pragma GCC visibility pop

enum {
    FAST_TABLE_MAX = 2048 - ALLOC_PAST_END_BYTES, /* sizes up to here take their bin from the table */
    FAST_TABLE_ROUND = SIZECLASS_ALIGN - 1 + ALLOC_PAST_END_BYTES,
    FAST_BIN_BYTES = sizeof(struct tcache_bin),
};

/* sizeclass_of(16 * i), as a constant expression. fast_check compares the two. */
#define FAST_CLASS(i)                                                                                        \
    ((i) <= 1    ? 0                                                                                         \
     : (i) <= 16 ? (i)-1                                                                                     \
     : (i) <= 32 ? 16 + ((((i)-1) >> 1) & 7)                                                                 \
     : (i) <= 64 ? 24 + ((((i)-1) >> 2) & 7)                                                                 \
                 : 32 + ((((i)-1) >> 3) & 7))
#define FAST_1(i) (uint16_t)(FAST_CLASS(i) * FAST_BIN_BYTES)
#define FAST_4(i) FAST_1(i), FAST_1((i) + 1), FAST_1((i) + 2), FAST_1((i) + 3)
#define FAST_16(i) FAST_4(i), FAST_4((i) + 4), FAST_4((i) + 8), FAST_4((i) + 12)

/* Offset in the cache of the bin for sizes up to 16 * i. */
static const uint16_t fast_bin_offset[(FAST_TABLE_MAX + FAST_TABLE_ROUND) / SIZECLASS_ALIGN + 1] = {
    FAST_16(0),  FAST_16(16), FAST_16(32),  FAST_16(48), FAST_16(64),
    FAST_16(80), FAST_16(96), FAST_16(112), FAST_1(128),
};
_Static_assert(FAST_BIN_BYTES * SIZECLASS_N_SMALL <= UINT16_MAX, "bin offsets fit in 16 bits");

typedef void *(*fast_slow_fn)(size_t size_bytes);

/* What the program did not ask for it never writes: an old pointer left there would keep garbage, in chains. */
ALWAYS_INLINE void *fast_block(const struct tcache_bin *bin, uint32_t bit)
{
    uint32_t size_bytes = bin->size;
    uint64_t *block = (uint64_t *)(bin->base + bit * size_bytes); /* at most 63 * 32 KiB: 32 bits */
    uint64_t *end = (uint64_t *)((char *)block + size_bytes);

    end[-1] = 0;
    end[-2] = 0;
    return block;
}

ALWAYS_INLINE void *fast_take_lowest(struct tcache_bin *bin, uint64_t *word, uint64_t bits)
{
    *word = bits & (bits - 1);
    bin->hint = (uint8_t)bits_ctz64_or_any(bits & (bits - 1));
    return fast_block(bin, bits_ctz64(bits));
}

ALWAYS_INLINE void *fast_step_to(size_t size_bytes, struct tcache_bin *bin, struct span *s, uint32_t w, fast_slow_fn slow)
{
    if (!tcache_step_to(bin, s, w))
        return slow(size_bytes);
    return fast_take_lowest(bin, bin->word, *bin->word);
}

FAST_TEXT NOINLINE static void *fast_next_word(size_t size_bytes, struct tcache_bin *bin, struct span *s, uint32_t w)
{
    return fast_step_to(size_bytes, bin, s, w, alloc_slow);
}

FAST_TEXT NOINLINE static void *fast_next_word_new(size_t size_bytes, struct tcache_bin *bin, struct span *s, uint32_t w)
{
    return fast_step_to(size_bytes, bin, s, w, alloc_slow_new);
}

FAST_TEXT NOINLINE static void *fast_next(size_t size_bytes, struct tcache_bin *bin)
{
    uint32_t w;

    return fast_may_step(bin, &w) ? fast_next_word(size_bytes, bin, bin->span, w) : alloc_slow(size_bytes);
}

FAST_TEXT NOINLINE static void *fast_next_new(size_t size_bytes, struct tcache_bin *bin)
{
    uint32_t w;

    return fast_may_step(bin, &w) ? fast_next_word_new(size_bytes, bin, bin->span, w) : alloc_slow_new(size_bytes);
}

typedef void *(*fast_other_fn)(size_t size_bytes, struct tcache_bin *bin);

/* The hint's bit is not free: the slot was the last one of its word, or another path took it. */
ALWAYS_INLINE void *fast_take_other(size_t size_bytes, struct tcache_bin *bin, fast_other_fn next)
{
    uint64_t *word = bin->word, bits = *word;

    if (bits == 0) {
        void *p = UNLIKELY(bin->is_veiled) ? sample_pop_undue(tcache_self, bin) : NULL;
        return p != NULL ? p : next(size_bytes, bin);
    }
    return fast_take_lowest(bin, word, bits);
}

FAST_TEXT NOINLINE static void *fast_other(size_t size_bytes, struct tcache_bin *bin)
{
    return fast_take_other(size_bytes, bin, fast_next);
}

FAST_TEXT NOINLINE static void *fast_other_new(size_t size_bytes, struct tcache_bin *bin)
{
    return fast_take_other(size_bytes, bin, fast_next_new);
}

/* The lowest bit as it is now would be known only when the free before, on its long way from an address to a bit, has
 * stored it; what was left last time is known at once, and mostly still there. */
ALWAYS_INLINE void *fast_take(uintptr_t bin_offset, size_t size_bytes, fast_other_fn other)
{
    struct tcache_bin *bin = (struct tcache_bin *)((char *)tcache_self + bin_offset);
    uint64_t *word = bin->word;
    uint64_t bits = *word;
    uint32_t hint = bin->hint;

    if (UNLIKELY(!bits_test_and_clear64(&bits, hint)))
        return other(size_bytes, bin);
    *word = bits;
    bin->hint = (uint8_t)bits_ctz64_or_any(bits);
    return fast_block(bin, hint);
}

ALWAYS_INLINE struct tcache_bin *fast_medium_bin(size_t size_bytes)
{
    return &tcache_self->malloc_set.bins[sizeclass_of(size_bytes + ALLOC_PAST_END_BYTES)];
}

/* Here the lowest slot as it is now: what the wait for it takes is nothing beside the lines of a block of more than 2 KiB, and by the
 * hint a block that is freed and asked for again would be two in turn, twice the cache. */
FAST_TEXT static void *fast_medium(size_t size_bytes)
{
    if (UNLIKELY(size_bytes > SIZECLASS_MAX_SMALL - ALLOC_PAST_END_BYTES))
        return alloc_slow(size_bytes);
    return fast_other(size_bytes, fast_medium_bin(size_bytes));
}

FAST_TEXT static void *fast_medium_new(size_t size_bytes)
{
    if (UNLIKELY(size_bytes > SIZECLASS_MAX_SMALL - ALLOC_PAST_END_BYTES))
        return alloc_slow_new(size_bytes);
    return fast_other_new(size_bytes, fast_medium_bin(size_bytes));
}

FAST_TEXT EXPORT void *malloc(size_t size_bytes)
{
    if (UNLIKELY(size_bytes > FAST_TABLE_MAX))
        return fast_medium(size_bytes);
    return fast_take(fast_bin_offset[(size_bytes + FAST_TABLE_ROUND) >> 4], size_bytes, fast_other);
}

FAST_TEXT EXPORT void *_Znwm(size_t size_bytes)
{
    if (UNLIKELY(size_bytes > FAST_TABLE_MAX))
        return fast_medium_new(size_bytes);
    return fast_take(fast_bin_offset[(size_bytes + FAST_TABLE_ROUND) >> 4], size_bytes, fast_other_new);
}

/* The message, after whatever look at the block. */
FAST_TEXT NOINLINE static void fast_free_send(void *p, const struct slice *e, uint32_t idx, struct span *s)
{
    uint64_t flags_before = atomic_load_explicit(&s->flags, memory_order_acquire);

    if (UNLIKELY(!inbox_is_still(e, s)) || UNLIKELY(!inbox_write(s, idx, flags_before)))
        free_slow(p);
}

/* The block's own bit has to be looked at, and what is seen is not remembered. */
FAST_TEXT NOINLINE static void fast_free_look(void *p, const struct slice *e, uint32_t idx, struct span *s)
{
    if (UNLIKELY(span_is_free(s, idx))) {
        free_slow(p);
        return;
    }
    fast_free_send(p, e, idx, s);
}

/* A thread that has a cache, and no room there for what it sees, gets it in the slow path. */
FAST_TEXT NOINLINE static void fast_free_unseen(void *p, const struct slice *e, uint32_t idx, struct span *s, const struct tcache *self)
{
    uint64_t period = span_quiet_period(s);

    if ((period & 1) == 0 || self == &tcache_none) {
        fast_free_look(p, e, idx, s);
        return;
    }
    if (UNLIKELY(self->seen == inbox_seen_nothing) || UNLIKELY(!inbox_look(s, idx, period, inbox_seen_of(self, s)))) {
        free_slow(p);
        return;
    }
    fast_free_send(p, e, idx, s);
}

/* Not this thread's, or not as simple as that. A block of another thread's is freed by a message, here, because nobody is stopped
 * in this section. A thread whose cache was cut has to go where it parks, and a handler that interrupted a slow path waits. self:
 * tcache_self, read before it is asked whether it is the real one. The arguments are what free has found, in the registers that it
 * has them in. */
FAST_TEXT static void fast_free_other(void *p, const struct slice *e, uint32_t idx, struct span *s, const struct tcache *self)
{
    SIGNAL_FENCE();
    if (UNLIKELY(LOAD_ONCE(os_tls.is_fast_cut) != 0 || os_tls.critical != 0 || api_tls.in_cycle != 0) ||
        UNLIKELY(!inbox_may_write(s, self))) {
        free_slow(p);
        return;
    }
    if (UNLIKELY(!inbox_is_seen(s, idx, self))) {
        fast_free_unseen(p, e, idx, s, self);
        return;
    }
    fast_free_send(p, e, idx, s);
}

/* The span's fast_owner is this thread's cache only while the span has no flag, so one comparison stands for:
 * ours, small, swept, no remote frees, no finalizers, some slot free. The nil span of slices without one has
 * owner NULL. */
FAST_TEXT EXPORT void free(void *p)
{
    uintptr_t offset_in_arena = (uintptr_t)p - heap_map.arena_base;

    /* A plain load, for it becomes part of the comparison: the arena only grows, so any value that was there will do. */
    if (UNLIKELY(offset_in_arena >= *(const uintptr_t *)&heap_map.arena_bytes)) {
        free_slow(p);
        return;
    }
    const struct slice *e = &heap_map.slices[offset_in_arena >> SLICE_SHIFT];
    bool is_start;
    uint32_t idx = slice_block_at(e, slice_offset(e, (uintptr_t)p), &is_start);
    struct span *s = span_of_ref(e->span);
    struct tcache *tc = tcache_self;

    if (UNLIKELY(!is_start || idx >= s->n_blocks)) {
        free_slow(p);
        return;
    }
    if (UNLIKELY(s->fast_owner != tc)) {
        fast_free_other(p, e, idx, s, tc);
        return;
    }
    uint64_t *word = &s->words[idx >> 6].free;
    uint64_t bits = *word;

    if (UNLIKELY(bits_test_and_set64(&bits, idx) || --tc->ticks < 0)) {
        free_slow(p);
        return;
    }
    *word = bits;
}

FAST_TEXT EXPORT void _ZdlPv(void *p)
{
    free(p);
}

COLD void fast_check(void)
{
    for (unsigned i = 0; i < N_ELEMENTS(fast_bin_offset); i++)
        ASSERT(fast_bin_offset[i] == sizeclass_of((size_t)i * SIZECLASS_ALIGN) * FAST_BIN_BYTES);
}
