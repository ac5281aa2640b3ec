/* Disguised addresses in memory that a runtime maps; see disguise.h and roots_int.h.
 *
 * What    groups of words are dismissed by their upper halves, as mark_filter.c does.
 * Not here  which runtimes are there: roots_maps.c by the library's name, roots_expect at the start.
 */
#include "base/bits.h"
#include "gc/disguise.h"
#include "gc/mark_filter.h"
#include "gc/roots_int.h"

enum { DISGUISE_GROUP_WORDS = 8 };

struct disguise {
    struct mark_halves halves;
    void (*look)(uint64_t before, const uint64_t *word);
};

static struct mark_halves disguise_halves(uint32_t first, uint32_t last)
{
    uint32_t lo = first + MARK_LANE_BIAS;
    int32_t hi = (int32_t)(last - first + 1 - MARK_LANE_BIAS);

    return (struct mark_halves){{lo, lo, lo, lo}, {hi, hi, hi, hi}};
}

static void digits_look(uint64_t before, const uint64_t *word)
{
    uintptr_t addr = digits_address(before, *word);

    if (addr != 0)
        roots.sink->addr_block(addr, (uintptr_t)word);
}

static void segment_look(uint64_t before, const uint64_t *word)
{
    (void)before;
    for (uintptr_t addr = segment_address(*word); addr != 0; addr = segment_next(addr))
        roots.sink->addr_block(addr, (uintptr_t)word);
}

static struct disguise disguise_digits(void)
{
    uint32_t first = (uint32_t)(heap_map.arena_base >> DIGITS_SHIFT);
    uint32_t last = (uint32_t)((heap_map.arena_base + heap_map.arena_bytes - 1) >> DIGITS_SHIFT);

    return (struct disguise){disguise_halves(first, last), digits_look};
}

static struct disguise disguise_segment(void)
{
    uint32_t first = (uint32_t)SEGMENT_TYPE << (SEGMENT_TYPE_SHIFT - 32);

    return (struct disguise){disguise_halves(first, first + (1u << (SEGMENT_TYPE_SHIFT - 32)) - 1), segment_look};
}

ALWAYS_INLINE bool disguise_may_be(const struct mark_halves *halves, const uint64_t *p)
{
    mark_v4s any = {0, 0, 0, 0};

    for (int i = 0; i < DISGUISE_GROUP_WORDS; i += 4) {
        mark_v4 a = *(const mark_v4 *)(p + i), c = *(const mark_v4 *)(p + i + 2);
        any |= (mark_v4s)(__builtin_shufflevector(a, c, 1, 3, 5, 7) - halves->base) < halves->end;
    }
    return (any[0] | any[1] | any[2] | any[3]) != 0;
}

static void disguise_look(struct disguise d, uintptr_t lo, uintptr_t hi)
{
    const uint64_t *p = (const uint64_t *)bits_round_up(lo, sizeof(*p));
    const size_t n_words = hi > (uintptr_t)p ? (hi - (uintptr_t)p) / sizeof(*p) : 0;
    size_t i = 1;

    if (n_words != 0)
        d.look(0, p);
    for (; i + DISGUISE_GROUP_WORDS <= n_words; i += DISGUISE_GROUP_WORDS)
        if (UNLIKELY(disguise_may_be(&d.halves, p + i)))
            for (size_t k = i; k < i + DISGUISE_GROUP_WORDS; k++)
                d.look(p[k - 1], &p[k]);
    for (; i < n_words; i++)
        d.look(p[i - 1], &p[i]);
}

void roots_disguised(uintptr_t lo, uintptr_t hi)
{
    if (heap_map.arena_bytes == 0)
        return;
    if (roots.disguises & DISGUISE_DIGITS)
        disguise_look(disguise_digits(), lo, hi);
    if (roots.disguises & DISGUISE_SEGMENT)
        disguise_look(disguise_segment(), lo, hi);
}
