/* See layout.h. */
#include "heap/layout.h"

#include "base/size.h"
#include "heap/meta.h"

enum { LAYOUT_BITS = 64 };

/* ---- life ---- */

static size_t layout_bytes(const struct span *s)
{
    size_t n_bytes = (size_t)s->n_slices << SLICE_SHIFT;
    if (span_is_large(s))
        return 0;
    if (s->flavor == FLAVOR_GC_TYPED)
        return n_bytes / LAYOUT_WORD / 8;
    return s->flavor == FLAVOR_GC_TINY ? n_bytes / LAYOUT_TINY_BLOCK : 0;
}

bool layout_begin(struct span *s)
{
    size_t n_bytes = layout_bytes(s);
    s->layout = NULL;
    if (n_bytes == 0)
        return true;
    s->layout = meta_alloc(n_bytes);
    return s->layout != NULL;
}

void layout_end(struct span *s)
{
    size_t n_bytes = layout_bytes(s);
    if (n_bytes != 0 && s->layout != NULL)
        meta_free(s->layout, n_bytes);
    s->layout = NULL;
}

struct heap_type *layout_type_new(size_t size_bytes)
{
    size_t n_words = size_bytes / LAYOUT_WORD + (size_bytes % LAYOUT_WORD != 0);
    size_t n_bytes = (n_words + LAYOUT_BITS - 1) / LAYOUT_BITS * sizeof(uint64_t);
    struct heap_type *type = meta_alloc(sizeof(*type) + n_bytes);
    if (type == NULL)
        return NULL;
    type->size_bytes = size_bytes;
    type->n_words = n_words;
    return type;
}

/* ---- runs of bits ---- */

static uint64_t layout_read(const uint64_t *bits, size_t at, size_t n)
{
    size_t shift = at % LAYOUT_BITS;
    uint64_t value = bits[at / LAYOUT_BITS] >> shift;
    if (shift != 0 && n > LAYOUT_BITS - shift)
        value |= bits[at / LAYOUT_BITS + 1] << (LAYOUT_BITS - shift);
    return value & bits_low_mask((unsigned)n);
}

static void layout_write(uint64_t *bits, size_t at, size_t n, uint64_t value)
{
    size_t shift = at % LAYOUT_BITS;
    uint64_t mask = bits_low_mask((unsigned)n);
    uint64_t *word = &bits[at / LAYOUT_BITS];
    word[0] = (word[0] & ~(mask << shift)) | value << shift;
    if (shift != 0 && n > LAYOUT_BITS - shift)
        word[1] = (word[1] & ~(mask >> (LAYOUT_BITS - shift))) | value >> (LAYOUT_BITS - shift);
}

/* Up to n bits of objects that follow each other, from word number at of the first one on. */
static uint64_t layout_type_bits(const struct heap_type *type, size_t at, size_t n)
{
    uint64_t value = 0;
    at %= type->n_words;
    for (size_t done = 0; done < n;) {
        size_t now = size_min(n - done, type->n_words - at);
        value |= layout_read(type->bits, at, now) << done;
        done += now;
        at = 0;
    }
    return value;
}

/* ---- typed blocks ---- */

/* The type's pages may end with its last bit, so nothing behind it is read. */
void layout_set_type(struct span *s, uintptr_t addr, const struct heap_type *type, size_t n_objects)
{
    if (span_is_large(s)) {
        __atomic_store_n(&s->type, type, __ATOMIC_RELEASE);
        return;
    }
    size_t at = (addr - s->start) / LAYOUT_WORD, n_block = s->size_bytes / LAYOUT_WORD;
    size_t n_typed = size_min(n_objects * type->n_words, n_block);
    for (size_t i = 0; i < n_block; i += LAYOUT_BITS) {
        size_t n = size_min(n_block - i, LAYOUT_BITS);
        size_t n_set = i < n_typed ? size_min(n_typed - i, n) : 0;
        layout_write(s->layout, at + i, n, n_set != 0 ? layout_type_bits(type, i, n_set) : 0);
    }
}

/* A large block's type is known an instant after the block: until then it holds nothing. */
static uint64_t layout_large_bits(const struct span *s, size_t at, size_t n)
{
    const struct heap_type *type = __atomic_load_n(&s->type, __ATOMIC_ACQUIRE);
    return type != NULL ? layout_type_bits(type, at, n) : 0;
}

uint64_t layout_pointer_bits(const struct span *s, uintptr_t addr)
{
    size_t offset = addr - s->start;
    size_t n = size_min((s->size_bytes - offset % s->size_bytes) / LAYOUT_WORD, LAYOUT_BITS);
    if (span_is_large(s))
        return layout_large_bits(s, offset / LAYOUT_WORD, n);
    return layout_read(s->layout, offset / LAYOUT_WORD, n);
}

/* ---- tiny parts ---- */

bool layout_is_part(const struct span *s, uintptr_t addr)
{
    unsigned bits = LOAD_ONCE(*layout_parts(s, addr));
    return addr % LAYOUT_PART == 0 && ((bits >> (addr % LAYOUT_TINY_BLOCK / LAYOUT_PART)) & 1) != 0;
}

size_t layout_part_bytes(const struct span *s, uintptr_t addr)
{
    uintptr_t end = addr + LAYOUT_PART - addr % LAYOUT_PART;
    while (end % LAYOUT_TINY_BLOCK != 0 && !layout_is_part(s, end))
        end += LAYOUT_PART;
    return end - addr;
}
