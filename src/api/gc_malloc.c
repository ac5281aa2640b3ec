/* gc_malloc's slow half and gc_good_size; contract in include/gcmalloc.h.
 *
 * Locks   as alloc_slow.c.
 * Not here  the fast path: gc_malloc_fast.c; types and gc_new: gc_type.c; what layouts look like: heap/layout.h.
 */
#include "api/gc_malloc.h"

#include <errno.h>
#include <string.h>
#include "api/alloc.h"
#include "api/neighbours.h"
#include "api/thread.h"
#include "base/bits.h"
#include "gc/pacer.h"
#include "gcmalloc.h"
#include "heap/layout.h"
#include "os/critical_inl.h"
#include "os/os.h"

enum { GC_FLAGS_KNOWN = GC_NOSCAN | GC_NOZERO | GC_ROOT };

static unsigned gc_flavor(unsigned flags)
{
    if (flags & GC_ROOT)
        return flags & GC_NOSCAN ? FLAVOR_ROOT_NOSCAN : FLAVOR_ROOT;
    return flags & GC_NOSCAN ? FLAVOR_GC_NOSCAN : FLAVOR_GC;
}

/* The usable size of a block that alloc_block returned; such of emergency.c are as long as asked. */
static size_t gc_block_bytes(const void *p, size_t size_bytes)
{
    struct heap_obj obj;

    return heap_find_object((uintptr_t)p, &obj) == HEAP_LIVE ? obj.size_bytes : size_bytes;
}

/* What the program did not ask for it never writes: an old pointer left there would keep garbage. */
static void gc_clear(void *p, size_t size_bytes, unsigned flags)
{
    size_t from = flags & GC_NOZERO ? size_bytes : 0;
    size_t to = flags & GC_NOSCAN ? size_bytes : gc_block_bytes(p, size_bytes);

    memset((char *)p + from, 0, to - from);
}

/* The first part of a new block; the room behind it is lost. Once per window of 64 blocks. */
static void *gc_slow_tiny(size_t size_bytes)
{
    char *block = alloc_block(LAYOUT_TINY_BLOCK, SIZECLASS_ALIGN, FLAVOR_GC_TINY, NULL);
    struct heap_obj obj;

    if (block == NULL)
        return NULL;
    os_critical_enter();
    if (heap_find_object((uintptr_t)block, &obj) == HEAP_LIVE && obj.span->flavor == FLAVOR_GC_TINY) {
        size_t part_bytes = bits_round_up(size_bytes + (size_bytes == 0), LAYOUT_PART);
        *layout_parts(obj.span, obj.start) = (uint8_t)layout_part_bits(obj.start, part_bytes);
    }
    os_critical_leave();
    memset(block, 0, LAYOUT_TINY_BLOCK);
    api_exit_slow();
    return block;
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

NOINLINE void *alloc_slow_gc(size_t size_bytes, unsigned flags, const void *type)
{
    bool is_zero = false;
    void *p;

    if (UNLIKELY(api_state.is_passthrough))
        neighbours_find_late();
    if (UNLIKELY(neighbours.gc_malloc != NULL))
        return neighbours.gc_malloc(size_bytes, flags, type);
    if (flags & ~(unsigned)GC_FLAGS_KNOWN) {
        errno = EINVAL;
        return NULL;
    }
    if (!(flags & GC_ROOT))
        pacer_expect_garbage();
    gc_poke_helpers();
    if (size_bytes <= LAYOUT_TINY_MAX && (flags & (GC_NOSCAN | GC_ROOT)) == GC_NOSCAN)
        return gc_slow_tiny(size_bytes);
    p = alloc_block(size_bytes, SIZECLASS_ALIGN, gc_flavor(flags), &is_zero);
    if (p != NULL && !is_zero)
        gc_clear(p, size_bytes, flags);
    return p;
}

EXPORT size_t gc_good_size(size_t size_bytes)
{
    if (size_bytes > PTRDIFF_MAX - OS_PAGE_SIZE_MIN)
        return 0;
    if (size_bytes <= SIZECLASS_MAX_SMALL)
        return sizeclass_size(sizeclass_of(size_bytes));
    return bits_round_up(size_bytes, OS_PAGE_SIZE_MIN);
}
