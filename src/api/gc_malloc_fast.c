/* gc_malloc: the path that programs take which leave freeing to the collector.
 *
 * What    a leaf function in section gcm_fast, as malloc_fast.c describes, that takes one bit and clears the
 *         block; and its slow half.
 * Not here  every decision: alloc_slow.c.
 */
#include "gcmalloc.h"

#include <errno.h>
#include <string.h>

/* What other files of ours define is reached without the global offset table. */
#pragma GCC visibility push(hidden)
#include "api/alloc.h"
#include "api/thread.h"
#include "base/compiler.h"
#include "gc/pacer.h"
#include "heap/tcache.h"
#pragma GCC visibility pop

enum {
    GC_FLAGS_KNOWN = GC_NOSCAN | GC_NOZERO | GC_ROOT,
    GC_FAST_MAX_BYTES = 256, /* cleared in line */
};
_Static_assert(GC_NOSCAN == 1 && GC_NOZERO == 2 && (int)FLAVOR_GC + 1 == FLAVOR_GC_NOSCAN,
               "one comparison dismisses all other flags, and the lowest bit chooses the flavor");

static unsigned gc_flavor(unsigned flags)
{
    if (flags & GC_ROOT)
        return flags & GC_NOSCAN ? FLAVOR_ROOT_NOSCAN : FLAVOR_ROOT;
    return flags & GC_NOSCAN ? FLAVOR_GC_NOSCAN : FLAVOR_GC;
}

/* All of a small block: what lies behind the bytes asked for is never written by the program, and old
 * pointers there would keep garbage, in chains. */
static void gc_clear(void *p, size_t size_bytes, unsigned flags)
{
    size_t n_bytes = size_bytes <= SIZECLASS_MAX_SMALL ? sizeclass_size(sizeclass_of(size_bytes)) : size_bytes;

    if (!(flags & GC_NOZERO))
        memset(p, 0, n_bytes);
    else if (!(flags & GC_NOSCAN))
        memset((char *)p + size_bytes, 0, n_bytes - size_bytes);
}

/* malloc may be called with locks of libc held, and so starts no thread; gc_malloc is not. One look for each
 * cycle suffices. */
static void gc_poke_helpers(void)
{
    static uint64_t n_cycles_seen;
    uint64_t n_cycles = cycle_count();

    if (LIKELY(n_cycles == LOAD_ONCE(n_cycles_seen)))
        return;
    STORE_ONCE(n_cycles_seen, n_cycles);
    thread_poke_helpers();
}

static NOINLINE void *alloc_slow_gc(size_t size_bytes, unsigned flags)
{
    bool is_zero = false;
    void *p;

    if (flags & ~(unsigned)GC_FLAGS_KNOWN) {
        errno = EINVAL;
        return NULL;
    }
    if (!(flags & GC_ROOT))
        pacer_expect_garbage();
    p = alloc_block(size_bytes, SIZECLASS_ALIGN, gc_flavor(flags), &is_zero);
    if (p != NULL && !is_zero)
        gc_clear(p, size_bytes, flags);
    gc_poke_helpers();
    return p;
}

typedef uint64_t gc_unit __attribute__((vector_size(SIZECLASS_ALIGN), may_alias));

/* In line, whatever the compiler thinks of a loop that clears memory: a fast path calls nothing. */
ALWAYS_INLINE void gc_clear_units(uintptr_t lo, uintptr_t hi)
{
    for (; lo < hi; lo += sizeof(gc_unit)) {
        *(gc_unit *)lo = (gc_unit){0, 0};
        __asm__ volatile("" ::: "memory");
    }
}

FAST_TEXT EXPORT void *gc_malloc(size_t size_bytes, unsigned flags)
{
    if (UNLIKELY(size_bytes > GC_FAST_MAX_BYTES || flags > (GC_NOSCAN | GC_NOZERO)))
        return alloc_slow_gc(size_bytes, flags);
    struct tcache_set *set = tcache_self->sets[FLAVOR_GC + (flags & GC_NOSCAN)];

    if (UNLIKELY(set == NULL))
        return alloc_slow_gc(size_bytes, flags);
    struct tcache_bin *bin = &set->bins[sizeclass_of(size_bytes)];
    uint64_t *word = bin->word;
    uint64_t bits = *word;

    if (UNLIKELY(bits == 0))
        return alloc_slow_gc(size_bytes, flags);
    *word = bits & (bits - 1);
    uintptr_t block = bin->base + bits_ctz64(bits) * bin->size, end = block + bin->size;

    gc_clear_units(flags & GC_NOZERO ? end - sizeof(gc_unit) : block, end);
    return (void *)block;
}
