/* See disguise.h.
 *
 * What    groups of words are dismissed by their upper halves, as mark_filter.c does.
 * Not here  which runtimes are there: roots_maps.c by the library's name, roots_expect at the start.
 */
#include "gc/disguise.h"

#include "base/bits.h"
#include "base/compiler.h"
#include "gc/mark_filter.h"
#include "heap/span.h"

enum {
    DIGITS_SHIFT = 30,
    DIGITS_N = 2,            /* of an address */
    DIGITS_N_TAGGED = 2 * 8, /* since Python 3.12, with the sign below */
    SEGMENT_BITS = 39,       /* of the address */
    SEGMENT_TYPE_SHIFT = 47,
    SEGMENT_TYPE = 0x1fffc,
    GROUP_WORDS = 8,
};

struct disguise_sink {
    disguise_found found;
    void *ctx;
};
typedef void (*disguise_look)(uint64_t before, const uint64_t *word, const struct disguise_sink *sink);

static bool disguise_is_inside(uintptr_t addr)
{
    return addr - heap_map.arena_base < heap_map.arena_bytes;
}

static void disguise_tell(const struct disguise_sink *sink, uintptr_t addr, const uint64_t *word)
{
    sink->found(addr, (uintptr_t)word, sink->ctx);
}

/* ---- one word ---- */

static void digits_look(uint64_t before, const uint64_t *word, const struct disguise_sink *sink)
{
    uintptr_t addr = (uintptr_t)(*word >> 32 << DIGITS_SHIFT | (uint32_t)*word);
    bool is_digit = (uint32_t)*word >> DIGITS_SHIFT == 0;

    if ((before == DIGITS_N || before == DIGITS_N_TAGGED) && is_digit && disguise_is_inside(addr))
        disguise_tell(sink, addr, word);
}

static void segment_look(uint64_t before, const uint64_t *word, const struct disguise_sink *sink)
{
    const uint64_t segment = UINT64_C(1) << SEGMENT_BITS;
    uintptr_t addr = (uintptr_t)(heap_map.arena_base >> SEGMENT_BITS << SEGMENT_BITS | (*word & (segment - 1)));

    (void)before;
    if (*word >> SEGMENT_TYPE_SHIFT != SEGMENT_TYPE)
        return;
    for (addr += addr < heap_map.arena_base ? segment : 0; disguise_is_inside(addr); addr += segment)
        disguise_tell(sink, addr, word);
}

static void fixnum_look(uint64_t before, const uint64_t *word, const struct disguise_sink *sink)
{
    (void)before;
    if ((*word & 1) != 0 && disguise_is_inside((uintptr_t)(*word >> 1)))
        disguise_tell(sink, (uintptr_t)(*word >> 1), word);
}

/* ---- many ---- */

/* Upper halves from first to last. */
static struct mark_halves disguise_halves(uint64_t first, uint64_t last)
{
    uint32_t lo = (uint32_t)first + MARK_LANE_BIAS;
    int32_t hi = (int32_t)((uint32_t)(last - first) + 1 - MARK_LANE_BIAS);

    return (struct mark_halves){{lo, lo, lo, lo}, {hi, hi, hi, hi}};
}

ALWAYS_INLINE bool disguise_may_be(const struct mark_halves *halves, const uint64_t *p)
{
    mark_v4s any = {0, 0, 0, 0};

    for (int i = 0; i < GROUP_WORDS; i += 4) {
        mark_v4 a = *(const mark_v4 *)(p + i), c = *(const mark_v4 *)(p + i + 2);
        any |= (mark_v4s)(__builtin_shufflevector(a, c, 1, 3, 5, 7) - halves->base) < halves->end;
    }
    return (any[0] | any[1] | any[2] | any[3]) != 0;
}

static void disguise_look_through(struct mark_halves halves, disguise_look look, uintptr_t lo, uintptr_t hi,
                                  const struct disguise_sink *sink)
{
    const uint64_t *p = (const uint64_t *)bits_round_up(lo, sizeof(*p));
    const size_t n_words = hi > (uintptr_t)p ? (hi - (uintptr_t)p) / sizeof(*p) : 0;
    size_t i = 1;

    if (n_words != 0)
        look(0, p, sink);
    for (; i + GROUP_WORDS <= n_words; i += GROUP_WORDS)
        if (UNLIKELY(disguise_may_be(&halves, p + i)))
            for (size_t k = i; k < i + GROUP_WORDS; k++)
                look(p[k - 1], &p[k], sink);
    for (; i < n_words; i++)
        look(p[i - 1], &p[i], sink);
}

void disguise_find(unsigned disguises, uintptr_t lo, uintptr_t hi, disguise_found found, void *ctx)
{
    const struct disguise_sink sink = {found, ctx};
    const uintptr_t first = heap_map.arena_base, last = first + heap_map.arena_bytes - 1;
    const uint64_t type = (uint64_t)SEGMENT_TYPE << (SEGMENT_TYPE_SHIFT - 32), after = type + (1u << (SEGMENT_TYPE_SHIFT - 32));

    if (heap_map.arena_bytes == 0)
        return;
    if (disguises & DISGUISE_DIGITS)
        disguise_look_through(disguise_halves(first >> DIGITS_SHIFT, last >> DIGITS_SHIFT), digits_look, lo, hi, &sink);
    if (disguises & DISGUISE_SEGMENT)
        disguise_look_through(disguise_halves(type, after - 1), segment_look, lo, hi, &sink);
    if (disguises & DISGUISE_FIXNUM)
        disguise_look_through(disguise_halves(first >> 31, last >> 31), fixnum_look, lo, hi, &sink);
}
