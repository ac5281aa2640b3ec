/* gc_typed.h: libgc's objects with explicit layouts, on gc_new. */
#ifndef GCMALLOC_BOEHM_GC_TYPED_H
#define GCMALLOC_BOEHM_GC_TYPED_H

#include "gc.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef GC_word *GC_bitmap;
typedef GC_word GC_descr;

#define GC_WORDSZ (8 * sizeof(GC_word))
#define GC_get_bit(bm, index) (((bm)[(index) / GC_WORDSZ] >> ((index) % GC_WORDSZ)) & 1)
#define GC_set_bit(bm, index) ((bm)[(index) / GC_WORDSZ] |= (GC_word)1 << ((index) % GC_WORDSZ))
#define GC_WORD_OFFSET(t, f) (offsetof(t, f) / sizeof(GC_word))
#define GC_WORD_LEN(t) (sizeof(t) / sizeof(GC_word))
#define GC_BITMAP_SIZE(t) ((GC_WORD_LEN(t) + GC_WORDSZ - 1) / GC_WORDSZ)

/* 0 where there is no memory; such a descriptor stands for objects in which every word counts. */
GCM_BOEHM_FN GC_descr GC_make_descriptor(const GC_word *bitmap, size_t n_bits)
{
    return (GC_descr)gc_type_create(n_bits * sizeof(GC_word), (const uint64_t *)bitmap, n_bits);
}
GCM_BOEHM_FN void *GC_malloc_explicitly_typed(size_t size, GC_descr d)
{
    void *p = d != 0 ? gc_new_sized((const struct gc_type *)d, size) : NULL;

    return p != NULL ? p : GC_malloc(size);
}
/* Elements that are larger than their description: every word counts. */
GCM_BOEHM_FN void *GC_calloc_explicitly_typed(size_t n, size_t size, GC_descr d)
{
    size_t all;

    if (__builtin_mul_overflow(n, size, &all))
        return NULL;
    if (d != 0 && gc_type_size((const struct gc_type *)d) == size)
        return gc_new_array((const struct gc_type *)d, n);
    return GC_malloc(all);
}
#define GC_malloc_explicitly_typed_ignore_off_page GC_malloc_explicitly_typed
#define GC_MALLOC_EXPLICITLY_TYPED(n, d) GC_malloc_explicitly_typed(n, d)
#define GC_CALLOC_EXPLICITLY_TYPED(n, size, d) GC_calloc_explicitly_typed(n, size, d)

#ifdef __cplusplus
}
#endif

#endif
