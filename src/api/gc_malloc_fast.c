/* The fast paths of gc_malloc and gc_new.
 *
 * What    leaf functions in section gcm_fast, under the rules of malloc_fast.c. Flavors other than malloc's have bins
 *         of their own, and gc_malloc zeroes: all of a block that may hold pointers, because an old pointer behind
 *         what was asked for would keep garbage, and else what was asked for.
 *         Parts of up to 12 bytes without pointers share blocks of 16 (heap/layout.h).
 * Not here  every decision, blocks above GC_FAST_MAX, flags that do not exist: gc_malloc.c.
 */
#include <stdint.h>

#pragma GCC visibility push(hidden)
#include "api/fast_inl.h"
#include "api/gc_malloc.h"
#include "heap/layout.h"
#pragma GCC visibility pop
#include "gcmalloc.h"

enum {
    GC_FAST_MAX = 1024, /* zeroing more is memset's business, which a leaf function cannot call */
    GC_FAST_FLAGS = GC_NOSCAN | GC_NOZERO,
#ifdef __clang__
    GC_FAST_TYPED_MAX = 0, /* it finds no way to set a layout without saving a register, which has no place here */
#else
    GC_FAST_TYPED_MAX = 512, /* so that a block has at most 64 words */
#endif
};
_Static_assert(GC_NOSCAN == 1 && FLAVOR_GC_NOSCAN == FLAVOR_GC + GC_NOSCAN, "a flag leads to its flavor");

typedef uint64_t gc_pair __attribute__((vector_size(16)));

/* Not written as memset, nor may the compiler make it one. pre: p < end. */
ALWAYS_INLINE void gc_fast_zero(char *p, const char *end)
{
    do {
        *(gc_pair *)p = (gc_pair){0, 0};
        p += sizeof(gc_pair);
        __asm__ volatile("" : "+r"(p));
    } while (p < end);
}

/* The first part of a new block; the block with more room left stays in use. */
FAST_TEXT static void *gc_fast_begin_tiny(size_t size_bytes, unsigned flags, size_t part_bytes, const void *type)
{
    struct tcache *tc = tcache_self;
    struct tcache_set *set = tc->sets[FLAVOR_GC_TINY];

    if (UNLIKELY(set == NULL))
        return alloc_slow_gc(size_bytes, flags, type);
    struct tcache_bin *bin = &set->bins[0];
    uint64_t bits = *bin->word;
    if (UNLIKELY(bits == 0))
        return alloc_slow_gc(size_bytes, flags, NULL);
    *bin->word = bits & (bits - 1);
    uintptr_t block = bin->base + bits_ctz64(bits) * LAYOUT_TINY_BLOCK;
    uint8_t *parts = layout_parts(bin->span, block);
    *(gc_pair *)block = (gc_pair){0, 0};
    *parts = (uint8_t)layout_part_bits(block, part_bytes);
    if (LAYOUT_TINY_BLOCK - part_bytes > tc->tiny_end - tc->tiny_at) {
        tc->tiny_at = block + part_bytes;
        tc->tiny_end = block + LAYOUT_TINY_BLOCK;
        tc->tiny_parts = parts;
    }
    return (void *)block;
}

/* A part in what is left of the block in use, whose bytes are zero. Aligned to the largest power of two that is not above
 * its size, from 4 on. */
FAST_TEXT static void *gc_fast_tiny(size_t size_bytes, unsigned flags, const void *type)
{
    struct tcache *tc = tcache_self;
    size_t part_bytes = (size_bytes + (size_bytes == 0) + LAYOUT_PART - 1) & -(size_t)LAYOUT_PART;
    size_t align = size_bytes >= LAYOUT_WORD ? LAYOUT_WORD : LAYOUT_PART;
    uintptr_t at = (tc->tiny_at + align - 1) & -align;

    if (at + part_bytes > tc->tiny_end)
        return gc_fast_begin_tiny(size_bytes, flags, part_bytes, type);
    tc->tiny_at = at + part_bytes;
    *tc->tiny_parts |= (uint8_t)layout_part_bits(at, part_bytes);
    return (void *)at;
}

FAST_TEXT NOINLINE static void *gc_fast_next(size_t size_bytes, unsigned flags, struct tcache_bin *bin);

ALWAYS_INLINE void *gc_fast_block(size_t size_bytes, unsigned flags, const void *type)
{
    struct tcache_set *set = tcache_self->sets[FLAVOR_GC + (flags & GC_NOSCAN)];
    if (UNLIKELY(set == NULL))
        return alloc_slow_gc(size_bytes, flags, type);
    struct tcache_bin *bin = &set->bins[sizeclass_of(size_bytes)];
    uint64_t bits = *bin->word;
    if (UNLIKELY(bits == 0))
        return gc_fast_next(size_bytes, flags, bin);
    *bin->word = bits & (bits - 1);
    char *block = (char *)(bin->base + bits_ctz64(bits) * bin->size);
    char *end = block + bin->size;

    if ((flags & GC_NOZERO) == 0)
        gc_fast_zero(block, (flags & GC_NOSCAN) != 0 ? block + size_bytes : end);
    else
        *(gc_pair *)(end - sizeof(gc_pair)) = (gc_pair){0, 0};
    return block;
}

FAST_TEXT NOINLINE static void *gc_fast_flagged(size_t size_bytes, unsigned flags, const void *type)
{
    if (UNLIKELY(size_bytes > GC_FAST_MAX || (flags & ~(unsigned)GC_FAST_FLAGS) != 0))
        return alloc_slow_gc(size_bytes, flags, type);
    if (size_bytes <= LAYOUT_TINY_MAX && (flags & GC_NOSCAN) != 0)
        return gc_fast_tiny(size_bytes, flags, type);
    return gc_fast_block(size_bytes, flags, type);
}

/* Size and flags in one register: with one value more there are not enough of them. */
enum { GC_FAST_FLAGS_SHIFT = 32 };

/* With the next window everything begins anew. */
FAST_TEXT NOINLINE static void *gc_fast_step_to(uint64_t request, struct tcache_bin *bin, struct span *s, uint32_t w)
{
    bool is_open = tcache_step_to(bin, s, w);
    size_t size_bytes = (uint32_t)request;
    unsigned flags = (unsigned)(request >> GC_FAST_FLAGS_SHIFT);

    return is_open ? gc_fast_flagged(size_bytes, flags, NULL) : alloc_slow_gc(size_bytes, flags, NULL);
}

/* pre: the window is used up. */
FAST_TEXT NOINLINE static void *gc_fast_next(size_t size_bytes, unsigned flags, struct tcache_bin *bin)
{
    uint32_t w;

    if (!fast_may_step(bin, &w))
        return alloc_slow_gc(size_bytes, flags, NULL);
    return gc_fast_step_to(size_bytes | (uint64_t)flags << GC_FAST_FLAGS_SHIFT, bin, bin->span, w);
}

/* Without a flag no question about flags is asked: a third of the instructions. Declared anew, because the gc_malloc that a
 * call may be meant for (neighbours.h) takes a third argument; in such a process no thread has a set of ours, so each call
 * comes to alloc_slow_gc with it. */
FAST_TEXT EXPORT void *gc_malloc_entry(size_t size_bytes, unsigned flags, const void *type) __asm__("gc_malloc");
void *gc_malloc_entry(size_t size_bytes, unsigned flags, const void *type)
{
    if (UNLIKELY(size_bytes > GC_FAST_MAX || flags != 0))
        return gc_fast_flagged(size_bytes, flags, type);
    return gc_fast_block(size_bytes, 0, type);
}

/* The block's bits in its span's layout, of which it may have up to 64 in two words. What is behind the object is no pointer.
 * A function of its own, because both halves of gc_new together have too many values for the registers. */
FAST_TEXT static void *gc_fast_set_layout(uintptr_t block, const struct tcache_bin *bin, uint64_t bits)
{
    const struct span *s = bin->span;
    uintptr_t at = (block - s->start) / LAYOUT_WORD;
    uint64_t *word = &s->layout[at / 64];
    unsigned n_bits = bin->size / LAYOUT_WORD, shift = at % 64;
    uint64_t mask = bits_low_mask(n_bits);

    word[0] = (word[0] & ~(mask << shift)) | bits << shift;
    if (shift + n_bits > 64)
        word[1] = (word[1] & ~(mask >> (64 - shift))) | bits >> (64 - shift);
    return (void *)block;
}

FAST_TEXT EXPORT void *gc_new(const struct gc_type *public_type)
{
    const struct heap_type *type = (const struct heap_type *)public_type;
    struct tcache_set *set = tcache_self->sets[FLAVOR_GC_TYPED];

    if (GC_FAST_TYPED_MAX == 0 || UNLIKELY(set == NULL || type->size_bytes > GC_FAST_TYPED_MAX))
        return alloc_slow_new_object(public_type);
    struct tcache_bin *bin = &set->bins[sizeclass_of(type->size_bytes)];
    uint64_t free_bits = *bin->word;
    if (UNLIKELY(free_bits == 0))
        return alloc_slow_new_object(public_type);
    *bin->word = free_bits & (free_bits - 1);
    uintptr_t block = bin->base + bits_ctz64(free_bits) * bin->size;
    gc_fast_zero((char *)block, (char *)block + bin->size);
    return gc_fast_set_layout(block, bin, type->bits[0]);
}
