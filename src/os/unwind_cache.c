/* Rules that were looked up before, in short: most frames of a program are those of a few hundred places.
 *
 * What    for a return address: CFA = register + offset, and at which offsets from it the callee's saved registers lie. Rows
 *         that need more are not kept.
 * Invariants  no locks: an entry's words are stored one by one, and one that was torn, or is of an earlier epoch, does not
 *         match its sum. A new epoch begins when a module is loaded, which may lie where another was.
 */
#include "os/unwind.h"

#include <string.h>

#include "base/compiler.h"
#include "os/walk.h"

enum {
    CACHE_SLOTS = 1024,
    CACHE_WORDS = 3,
    CACHE_UNIT = 8,        /* offsets are multiples of it */
    CACHE_NONE = INT8_MIN, /* the caller has the register as it is */
    CACHE_OUTERMOST = UINT8_MAX, /* for cfa_reg: nobody called this function */
};

#if defined(__x86_64__)
static const uint8_t cache_regs[] = {UNWIND_RA, UNWIND_FP, 3, 12, 13, 14, 15};
#else
static const uint8_t cache_regs[] = {UNWIND_RA, UNWIND_FP, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28};
#endif

struct cache_rule {
    int32_t cfa_offset;
    uint8_t cfa_reg;
    int8_t saved[sizeof(cache_regs)]; /* offset from the CFA in units, or CACHE_NONE */
};
_Static_assert(sizeof(struct cache_rule) <= CACHE_WORDS * sizeof(uint64_t), "a rule fits");

struct cache_slot {
    uint64_t pc, sum, words[CACHE_WORDS];
};
static struct {
    uint64_t epoch;
    struct cache_slot slots[CACHE_SLOTS];
} cache BULKY;

void os_walk_forget(void)
{
    __atomic_add_fetch(&cache.epoch, 1, __ATOMIC_RELEASE);
}

static struct cache_slot *cache_slot_of(uintptr_t pc)
{
    return &cache.slots[(pc * UINT64_C(0x9e3779b97f4a7c15) >> 32) % CACHE_SLOTS];
}

static uint64_t cache_sum(uintptr_t pc, const uint64_t *words, uint64_t epoch)
{
    uint64_t sum = pc ^ epoch * UINT64_C(0xd6e8feb86659fd93);

    for (int i = 0; i < CACHE_WORDS; i++)
        sum = (sum ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15) + 1;
    return sum;
}

static bool cache_pack(const struct unwind_row *row, struct cache_rule *rule)
{
    if (row->kind[UNWIND_RA] == RULE_UNDEFINED) {
        *rule = (struct cache_rule){.cfa_reg = CACHE_OUTERMOST};
        return true;
    }
    *rule = (struct cache_rule){.cfa_offset = (int32_t)row->cfa_value, .cfa_reg = row->cfa_reg};
    if (row->cfa_kind != RULE_REGISTER || row->cfa_value != rule->cfa_offset || row->kind[UNWIND_SP] != RULE_SAME)
        return false;
    for (size_t i = 0; i < sizeof(cache_regs); i++) {
        unsigned kind = row->kind[cache_regs[i]];
        int64_t value = row->value[cache_regs[i]];
        if (kind != RULE_SAME && kind != RULE_OFFSET)
            return false;
        if (kind == RULE_OFFSET && (value % CACHE_UNIT != 0 || value / CACHE_UNIT <= CACHE_NONE || value > 0))
            return false;
        rule->saved[i] = (int8_t)(kind == RULE_SAME ? CACHE_NONE : value / CACHE_UNIT);
    }
    return row->kind[UNWIND_RA] == RULE_OFFSET && (rule->cfa_reg == UNWIND_SP || rule->cfa_reg == UNWIND_FP);
}

void unwind_cache_put(uintptr_t pc, const struct unwind_row *row)
{
    uint64_t words[CACHE_WORDS] = {0}, epoch = __atomic_load_n(&cache.epoch, __ATOMIC_ACQUIRE);
    struct cache_slot *slot = cache_slot_of(pc);
    struct cache_rule rule;

    if (!cache_pack(row, &rule))
        return;
    memcpy(words, &rule, sizeof(rule));
    for (int i = 0; i < CACHE_WORDS; i++)
        __atomic_store_n(&slot->words[i], words[i], __ATOMIC_RELAXED);
    __atomic_store_n(&slot->sum, cache_sum(pc, words, epoch), __ATOMIC_RELAXED);
    __atomic_store_n(&slot->pc, pc, __ATOMIC_RELAXED);
}

static bool cache_get(uintptr_t pc, struct cache_rule *rule)
{
    const struct cache_slot *slot = cache_slot_of(pc);
    uint64_t words[CACHE_WORDS];

    if (__atomic_load_n(&slot->pc, __ATOMIC_RELAXED) != pc)
        return false;
    for (int i = 0; i < CACHE_WORDS; i++)
        words[i] = __atomic_load_n(&slot->words[i], __ATOMIC_RELAXED);
    if (__atomic_load_n(&slot->sum, __ATOMIC_RELAXED) !=
        cache_sum(pc, words, __atomic_load_n(&cache.epoch, __ATOMIC_ACQUIRE)))
        return false;
    memcpy(rule, words, sizeof(*rule));
    return true;
}

enum unwind_cached unwind_cache_step(uintptr_t pc, struct unwind_frame *f, struct unwind_memory *m)
{
    struct cache_rule rule;
    uintptr_t cfa;

    if (!cache_get(pc, &rule))
        return UNWIND_UNCACHED;
    if (rule.cfa_reg == CACHE_OUTERMOST)
        return UNWIND_END;
    cfa = f->reg[rule.cfa_reg] + (uintptr_t)(intptr_t)rule.cfa_offset;
    if (cfa <= f->reg[UNWIND_SP])
        return UNWIND_END;
    for (size_t i = 0; i < sizeof(cache_regs); i++)
        if (rule.saved[i] != CACHE_NONE &&
            !unwind_read(m, cfa + (uintptr_t)((intptr_t)rule.saved[i] * CACHE_UNIT), &f->reg[cache_regs[i]]))
            return UNWIND_END;
    f->reg[UNWIND_SP] = cfa;
    return UNWIND_STEPPED;
}
