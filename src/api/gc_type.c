/* Types and the blocks made of them: gc_type_create, gc_new; contract in include/gcmalloc.h.
 *
 * A type is unrolled once, to one bit per word of one object, whatever it was described by; figures in src/README.md.
 * Locks   as alloc_slow.c.
 * Not here  the bits: heap/layout.h; reading them: gc/mark_typed.c.
 */
#include <errno.h>
#include <string.h>
#include "api/alloc.h"
#include "api/gc_malloc.h"
#include "gc/pacer.h"
#include "gcmalloc.h"
#include "heap/layout.h"
#include "os/critical_inl.h"

struct gc_type {
    struct heap_type heap; /* first: gc_malloc_fast.c knows no more */
};

static void *type_fail(int error)
{
    errno = error;
    return NULL;
}

/* All bits zero; NULL with errno. */
static struct heap_type *type_alloc(size_t size_bytes)
{
    struct heap_type *type = NULL;

    if (size_bytes == 0 || size_bytes % LAYOUT_WORD != 0 || size_bytes > PTRDIFF_MAX)
        return type_fail(EINVAL);
    if (api_enter_slow()) {
        os_critical_enter();
        type = layout_type_new(size_bytes);
        os_critical_leave();
    }
    api_exit_slow();
    return type != NULL ? type : type_fail(ENOMEM);
}

static void type_set_bit(struct heap_type *type, size_t word_no)
{
    type->bits[word_no / 64] |= UINT64_C(1) << (word_no % 64);
}

EXPORT const struct gc_type *gc_type_create(size_t size_bytes, const uint64_t *mask, size_t n_bits)
{
    struct heap_type *type;

    if (n_bits == 0 || mask == NULL)
        return type_fail(EINVAL);
    type = type_alloc(size_bytes);
    if (type == NULL)
        return NULL;
    for (size_t i = 0; i < type->n_words; i++) {
        size_t at = i % n_bits;

        if ((mask[at / 64] >> (at % 64)) & 1)
            type_set_bit(type, i);
    }
    return (const struct gc_type *)type;
}

/* Words that the steps cover; SIZE_MAX where no object is that large. */
static size_t type_steps_words(const struct gc_type_step *steps, size_t n_steps)
{
    size_t n_words = 0;

    for (size_t i = 0; i < n_steps; i++) {
        size_t n, all;

        if (steps[i].n_times == 0)
            continue;
        if (__builtin_add_overflow(steps[i].n_data, steps[i].n_pointers, &n) ||
            __builtin_mul_overflow(n, steps[i].n_times, &all) || __builtin_add_overflow(n_words, all, &n_words))
            return SIZE_MAX;
    }
    return n_words;
}

static size_t type_run_step(struct heap_type *type, size_t at, const struct gc_type_step *step)
{
    size_t n_times = step->n_data + step->n_pointers != 0 ? step->n_times : 0;

    for (size_t time = 0; time < n_times; time++) {
        at += step->n_data;
        for (size_t i = 0; i < step->n_pointers; i++)
            type_set_bit(type, at++);
    }
    return at;
}

EXPORT const struct gc_type *gc_type_create_steps(size_t size_bytes, const struct gc_type_step *steps, size_t n_steps)
{
    struct heap_type *type;
    size_t at = 0;

    if ((steps == NULL && n_steps != 0) || type_steps_words(steps, n_steps) > size_bytes / LAYOUT_WORD)
        return type_fail(EINVAL);
    type = type_alloc(size_bytes);
    for (size_t i = 0; type != NULL && i < n_steps; i++)
        at = type_run_step(type, at, &steps[i]);
    return (const struct gc_type *)type;
}

/* ---- blocks ---- */

/* Cleared before it has a layout, and with all that the layout may cover. */
static void type_dress(void *p, size_t size_bytes, const struct heap_type *type, size_t n, bool is_zero)
{
    struct heap_obj obj;

    os_critical_enter();
    if (heap_find_object((uintptr_t)p, &obj) == HEAP_LIVE) {
        if (!is_zero)
            memset(p, 0, obj.size_bytes);
        layout_set_type(obj.span, obj.start, type, n);
    } else {
        memset(p, 0, size_bytes); /* of emergency.c, which is no part of the heap */
    }
    os_critical_leave();
    api_exit_slow();
}

static void *type_alloc_objects(const struct gc_type *type, size_t size_bytes, size_t n)
{
    bool is_zero = false;
    pacer_expect_garbage();
    void *p = alloc_block(size_bytes, SIZECLASS_ALIGN, FLAVOR_GC_TYPED, &is_zero);

    if (p != NULL)
        type_dress(p, size_bytes, &type->heap, n, is_zero);
    return p;
}

NOINLINE void *alloc_slow_new_object(const struct gc_type *type)
{
    return type_alloc_objects(type, type->heap.size_bytes, 1);
}

EXPORT void *gc_new_array(const struct gc_type *type, size_t n)
{
    size_t size_bytes;

    if (__builtin_mul_overflow(type->heap.size_bytes, n, &size_bytes))
        return type_fail(ENOMEM);
    return type_alloc_objects(type, size_bytes, n);
}

EXPORT void *gc_new_sized(const struct gc_type *type, size_t size_bytes)
{
    if (size_bytes < type->heap.size_bytes)
        return type_fail(EINVAL);
    return type_alloc_objects(type, size_bytes, 1);
}

EXPORT size_t gc_type_size(const struct gc_type *type)
{
    return type->heap.size_bytes;
}
