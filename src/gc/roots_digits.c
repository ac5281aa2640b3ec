/* Addresses that Python holds as integers, in memory that it maps; see digits.h and roots_int.h.
 *
 * What    groups of words are dismissed by their upper halves, as mark_filter.c does.
 * Not here  whether Python is there: roots_maps.c by the library's name, roots_expect_python at the start.
 */
#include "base/bits.h"
#include "gc/digits.h"
#include "gc/mark_filter.h"
#include "gc/roots_int.h"

enum { DIGITS_GROUP_WORDS = 8 };

static struct mark_halves digits_halves(void)
{
    uint32_t first = (uint32_t)(heap_map.arena_base >> DIGITS_SHIFT);
    uint32_t last = (uint32_t)((heap_map.arena_base + heap_map.arena_bytes - 1) >> DIGITS_SHIFT);
    uint32_t lo = first + MARK_LANE_BIAS;
    int32_t hi = (int32_t)(last - first + 1 - MARK_LANE_BIAS);

    return (struct mark_halves){{lo, lo, lo, lo}, {hi, hi, hi, hi}};
}

static void digits_look(const uint64_t *word)
{
    uintptr_t addr = digits_address(word[-1], word[0]);

    if (addr != 0)
        roots.sink->addr_block(addr, (uintptr_t)word);
}

ALWAYS_INLINE bool digits_may_be(const struct mark_halves *halves, const uint64_t *p)
{
    mark_v4s any = {0, 0, 0, 0};

    for (int i = 0; i < DIGITS_GROUP_WORDS; i += 4) {
        mark_v4 a = *(const mark_v4 *)(p + i), c = *(const mark_v4 *)(p + i + 2);
        any |= (mark_v4s)(__builtin_shufflevector(a, c, 1, 3, 5, 7) - halves->base) < halves->end;
    }
    return (any[0] | any[1] | any[2] | any[3]) != 0;
}

void roots_digits(uintptr_t lo, uintptr_t hi)
{
    const uint64_t *p = (const uint64_t *)bits_round_up(lo, sizeof(*p));
    const size_t n_words = hi > (uintptr_t)p ? (hi - (uintptr_t)p) / sizeof(*p) : 0;
    const struct mark_halves halves = digits_halves();
    size_t i = 1;

    if (heap_map.arena_bytes == 0)
        return;
    for (; i + DIGITS_GROUP_WORDS <= n_words; i += DIGITS_GROUP_WORDS)
        if (UNLIKELY(digits_may_be(&halves, p + i)))
            for (size_t k = i; k < i + DIGITS_GROUP_WORDS; k++)
                digits_look(&p[k]);
    for (; i < n_words; i++)
        digits_look(&p[i]);
}
