/* The values and texts of the counters. */
#include "base/counters.h"

#include <stddef.h>
#include "base/check.h"
#include "base/compiler.h"

/* Texts and where they begin, not pointers to them: each pointer would be written when the library is loaded, and a page with it. */
static const struct counter_texts {
#define COUNTER_ROW(ENUMERATOR, name, help) char name_of_##ENUMERATOR[sizeof(name)], help_of_##ENUMERATOR[sizeof(help)];
    COUNTER_TABLE(COUNTER_ROW)
#undef COUNTER_ROW
} counter_texts = {
#define COUNTER_ROW(ENUMERATOR, name, help) name, help,
    COUNTER_TABLE(COUNTER_ROW)
#undef COUNTER_ROW
};

static const struct counter_row {
    uint16_t name, help;
} counter_rows[] = {
#define COUNTER_ROW(ENUMERATOR, name, help)                                                                                       \
    {offsetof(struct counter_texts, name_of_##ENUMERATOR), offsetof(struct counter_texts, help_of_##ENUMERATOR)},
    COUNTER_TABLE(COUNTER_ROW)
#undef COUNTER_ROW
};
_Static_assert(N_ELEMENTS(counter_rows) == COUNTER_COUNT, "a row for each counter");

uint64_t counter_values[COUNTER_COUNT];

void counter_raise(enum counter c, uint64_t value)
{
    uint64_t seen = counter_get(c);
    while (seen < value && !__atomic_compare_exchange_n(&counter_values[c], &seen, value, true,
                                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

void counter_add_skip(enum counter reason)
{
    ASSERT(reason >= COUNTER_SKIP_FIRST && reason <= COUNTER_SKIP_LAST);
    counter_add(COUNTER_CYCLES_SKIPPED, 1);
    counter_add(reason, 1);
}

const char *counter_name(enum counter c)
{
    return (const char *)&counter_texts + counter_rows[c].name;
}

const char *counter_help(enum counter c)
{
    return (const char *)&counter_texts + counter_rows[c].help;
}

void counters_reset(void)
{
    for (size_t i = 0; i < COUNTER_COUNT; i++) {
        __atomic_store_n(&counter_values[i], 0, __ATOMIC_RELAXED);
    }
}
