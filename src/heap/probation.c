/* See probation.h. */
#include "heap/probation.h"

#include "base/counters.h"
#include "heap/tcache.h"

enum { PROBATION_N_SIZES = SIZECLASS_N + 64 }; /* large blocks by powers of two */

static struct {
    bool is_careful;
    bool has_pins;
    uint8_t is_pinned[FLAVOR_N][PROBATION_N_SIZES];
} probation;

void probation_set(bool is_careful)
{
    probation.is_careful = is_careful;
}

bool probation_is_on(void)
{
    return probation.is_careful;
}

static uint8_t *probation_site(const struct span *s)
{
    unsigned size_no = span_is_large(s) ? SIZECLASS_N + bits_log2_floor(s->size_bytes) : s->class_no;

    return &probation.is_pinned[s->flavor][size_no];
}

void probation_pin(const struct span *s)
{
    __atomic_store_n(probation_site(s), 1, __ATOMIC_RELAXED);
    __atomic_store_n(&probation.has_pins, true, __ATOMIC_RELEASE);
}

bool probation_is_pinned(const struct span *s)
{
    return __atomic_load_n(&probation.has_pins, __ATOMIC_ACQUIRE) &&
           __atomic_load_n(probation_site(s), __ATOMIC_RELAXED) != 0;
}

static bool probation_is_suspect(struct span *s, uint32_t idx)
{
    return (__atomic_load_n(&span_cold(s)[idx >> 6].suspect, __ATOMIC_RELAXED) >> (idx & 63)) & 1;
}

bool probation_is_over(uintptr_t obj)
{
    struct heap_obj found;

    return !probation.is_careful || heap_find_object(obj, &found) != HEAP_LIVE ||
           probation_is_suspect(found.span, found.idx);
}

bool probation_use(struct span *s, uint32_t idx)
{
    uint64_t bit = UINT64_C(1) << (idx & 63);

    if ((span_flags(s) & SPAN_SUSPECT) == 0 || !probation_is_suspect(s, idx))
        return false;
    if ((__atomic_fetch_and(&span_cold(s)[idx >> 6].suspect, ~bit, __ATOMIC_RELAXED) & bit) == 0)
        return false;
    counter_add(COUNTER_SUSPECTS_USED, 1);
    probation_pin(s);
    return true;
}

bool probation_revive(const struct heap_obj *obj)
{
    struct span *s = obj->span;
    uint64_t bit = UINT64_C(1) << (obj->idx & 63);
    struct span_cold *cold;

    if (s == NULL)
        return false;
    probation_pin(s);
    cold = &span_cold(s)[obj->idx >> 6];
    if (span_is_large(s) || atomic_load_explicit(&s->owner, memory_order_relaxed) != tcache_self)
        return false;
    if ((cold->dead & bit) == 0)
        return false;
    __atomic_store_n(&cold->dead, cold->dead & ~bit, __ATOMIC_RELEASE);
    return true;
}
