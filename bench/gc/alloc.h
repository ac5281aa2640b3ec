/* One source, four memory managers. A program of this folder allocates and frees through these functions
 * alone. What they do is chosen at build time by BENCH_ALLOC:
 *
 *   - ALLOC_LEAK: malloc, never freed (also: what the library reclaims when it is preloaded, and asked to collect)
 *   - ALLOC_FREE: malloc and free
 *   - ALLOC_BOEHM: libgc, collected
 *   - ALLOC_GCMALLOC: libgcmalloc's own interface, collected
 *
 * Include it first: libgc takes over pthread_create by macros. */
#ifndef BENCH_GC_ALLOC_H
#define BENCH_GC_ALLOC_H

#define ALLOC_LEAK 1
#define ALLOC_FREE 2
#define ALLOC_BOEHM 3
#define ALLOC_GCMALLOC 4

#if BENCH_ALLOC == ALLOC_BOEHM
#define GC_THREADS
#include <gc.h>
#elif BENCH_ALLOC == ALLOC_GCMALLOC
#include "gcmalloc.h"
#endif

#include "bench.h"

#if BENCH_ALLOC == ALLOC_BOEHM

/* libgc marks with one thread until it is told otherwise in a program that starts no thread. */
static inline void alloc_init(void)
{
    GC_INIT();
    GC_start_mark_threads();
}

static inline void *alloc_new(size_t size_bytes)
{
    return bench_checked(GC_MALLOC(size_bytes));
}

static inline void *alloc_new_noscan(size_t size_bytes)
{
    return bench_checked(GC_MALLOC_ATOMIC(size_bytes));
}

static inline void alloc_collect(void)
{
    GC_gcollect();
}

#elif BENCH_ALLOC == ALLOC_GCMALLOC

static inline void alloc_init(void) {}

static inline void *alloc_new(size_t size_bytes)
{
    return bench_checked(gc_malloc(size_bytes, 0));
}

static inline void *alloc_new_noscan(size_t size_bytes)
{
    return bench_checked(gc_malloc(size_bytes, GC_NOSCAN | GC_NOZERO));
}

static inline void alloc_collect(void)
{
    gc_collect();
}

#else

extern void gc_collect(void) __attribute__((weak));

static inline void alloc_init(void) {}

static inline void alloc_collect(void)
{
    if (gc_collect != NULL)
        gc_collect();
}

static inline void *alloc_new(size_t size_bytes)
{
    return bench_malloc(size_bytes);
}

static inline void *alloc_new_noscan(size_t size_bytes)
{
    return bench_malloc(size_bytes);
}

#endif

/* Whether the program has to walk what it drops in order to free it. */
static inline int alloc_needs_free(void)
{
    return BENCH_ALLOC == ALLOC_FREE;
}

static inline void alloc_drop(void *block)
{
    if (alloc_needs_free())
        free(block);
}

/* For programs whose work doubles with each level: linear in the scale again. */
static inline unsigned alloc_scale_bits(unsigned scale)
{
    return 31u - (unsigned)__builtin_clz(scale);
}

#endif
