/* A counter of the library by its name, for programs that are linked with it or preload it. */
#ifndef TESTS_SUPPORT_TEST_COUNTER_H
#define TESTS_SUPPORT_TEST_COUNTER_H

#include "gcmalloc.h"
#include "test_util.h"
extern __typeof__(gc_get_counter) gc_get_counter __attribute__((weak));

static __attribute__((unused)) uint64_t test_counter(const char *wanted)
{
    const char *name;
    uint64_t value;
    for (unsigned i = 0; gc_get_counter(i, &name, &value) == 0; i++)
        if (strcmp(name, wanted) == 0)
            return value;
    TEST_FAIL("there is no counter %s", wanted);
}

#endif
