/* See sizeclass.h. */
#include "heap/sizeclass.h"

enum {
    SPAN_SLICE_BYTES = 65536,
    SPAN_MIN_BLOCKS = 8,
    SPAN_LONG_BYTES = 131072, /* half of SPAN_MIN_BLOCKS longer ones fill whole slices */
    SPAN_MAX_SLICES = 16,
    SPAN_WASTE_SHARE = 32,
};

uint32_t sizeclass_span_slices(unsigned class_no)
{
    uint32_t size = sizeclass_size(class_no);
    uint32_t min_blocks = size <= SPAN_LONG_BYTES ? SPAN_MIN_BLOCKS : SPAN_MIN_BLOCKS / 2;
    for (uint32_t n = 1; n < SPAN_MAX_SLICES; n++) {
        uint32_t bytes = n * SPAN_SLICE_BYTES;
        if (bytes / size >= min_blocks && bytes % size <= bytes / SPAN_WASTE_SHARE)
            return n;
    }
    return SPAN_MAX_SLICES;
}

unsigned sizeclass_of_aligned(size_t size_bytes, size_t align)
{
    if (size_bytes > SIZECLASS_MAX_SMALL)
        return SIZECLASS_N;
    for (unsigned c = sizeclass_of(size_bytes); c < SIZECLASS_N_SMALL; c++)
        if (sizeclass_size(c) % align == 0)
            return c;
    return SIZECLASS_N;
}
