/* What the tests of gcmalloc.h share: blocks whose addresses only we know, and how many of them are still there.
 *
 * Conservative roots keep some garbage (an old word on a stack), so blocks are made by the hundred, far from main's
 * frame, and bounds are asserted: nearly all, or none.
 */
#ifndef TESTS_INTERFACE_H
#define TESTS_INTERFACE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "gcmalloc.h"
#include "test_util.h"

#define NOINLINE __attribute__((noinline))
enum { INTERFACE_N = 500, INTERFACE_NEARLY_ALL = INTERFACE_N * 9 / 10 };

/* Addresses complemented: no root. */
__attribute__((unused)) static uintptr_t interface_hidden[INTERFACE_N];

static inline void interface_hide(size_t i, const void *p)
{
    interface_hidden[i] = ~(uintptr_t)p;
}

/* Frames and registers of earlier calls are overwritten. */
static __attribute__((noinline, unused)) void interface_clear_stack(void)
{
    volatile char frame[16384];
    for (size_t i = 0; i < sizeof(frame); i++)
        frame[i] = 0;
}

static inline void interface_collect(void)
{
    interface_clear_stack();
    TEST_CHECK(gc_collect_level(GC_FULL) == 0);
}

/* Of the hidden blocks, how many are in use. */
static __attribute__((noinline, unused)) size_t interface_n_alive(void)
{
    size_t n = 0;
    for (size_t i = 0; i < INTERFACE_N; i++)
        n += gc_find_object((void *)~interface_hidden[i], NULL) != NULL;
    return n;
}

#endif
