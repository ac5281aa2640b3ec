/* See probation.h. */
#include "heap/probation.h"

#include "base/counters.h"
#include "heap/tcache.h"

enum { PROBATION_N_SIZES = SIZECLASS_N + 64 }; /* large blocks by powers of two */

static struct {
    bool is_careful;
    bool has_pins;
} probation;
static uint8_t probation_pins[FLAVOR_N][PROBATION_N_SIZES] BULKY;

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

    return &probation_pins[s->flavor][size_no];
}

static void probation_pin_site(uint8_t *is_pinned)
{
    __atomic_store_n(is_pinned, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&probation.has_pins, true, __ATOMIC_RELEASE);
}

void probation_pin(const struct span *s)
{
    probation_pin_site(probation_site(s));
}

/* Of a large block only its slices are known, as far as no other lies there now. */
static size_t probation_tomb_bytes(uintptr_t addr)
{
    const struct slice *e = slice_of(addr);
    size_t n = 1;

    while (heap_contains(addr + (n << SLICE_SHIFT)) && e[n].span == 0 && e[n].flavor == e->flavor && e[n].recip == 0 &&
           e[n].slice_no > e[n - 1].slice_no)
        n++;
    return n << SLICE_SHIFT;
}

bool probation_read_tomb(uintptr_t addr, struct heap_obj *obj, unsigned *flavor)
{
    const struct slice *e = slice_of(addr);

    if (!slice_is_taken(e))
        return false;
    *flavor = e->flavor - TOMB_TAKEN;
    *obj = (struct heap_obj){.start = addr, .size_bytes = e->recip != 0 ? slice_block_size(e) : probation_tomb_bytes(addr)};
    return true;
}

void probation_pin_tomb(uintptr_t addr)
{
    struct heap_obj obj;
    unsigned flavor, last;

    if (!probation_read_tomb(addr, &obj, &flavor))
        return;
    last = slice_of(addr)->recip != 0 ? sizeclass_of(obj.size_bytes) : SIZECLASS_N + bits_log2_floor(obj.size_bytes);
    probation_pin_site(&probation_pins[flavor][last]);
    if (last > SIZECLASS_N) /* its last slice may have been used in part */
        probation_pin_site(&probation_pins[flavor][SIZECLASS_N + bits_log2_floor(obj.size_bytes - SLICE_SIZE + 1)]);
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

bool probation_use_elsewhere(struct span *s, uint32_t idx)
{
    if (!span_is_dead(s, idx))
        return probation_use(s, idx);
    probation_pin(s);
    return true;
}

bool probation_revive(const struct heap_obj *obj)
{
    struct span *s = obj->span;
    uint64_t bit = UINT64_C(1) << (obj->idx & 63);
    struct span_cold *cold;

    if (s == NULL) {
        probation_pin_tomb(obj->start);
        return false;
    }
    probation_pin(s);
    cold = &span_cold(s)[obj->idx >> 6];
    if (span_is_large(s) || atomic_load_explicit(&s->owner, memory_order_relaxed) != tcache_self)
        return false;
    if ((cold->dead & bit) == 0)
        return false;
    __atomic_store_n(&cold->dead, cold->dead & ~bit, __ATOMIC_RELEASE);
    return true;
}
