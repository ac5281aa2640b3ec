/* The marker in blocks that have a layout (gc_new): words that are no pointers are not even compared.
 *
 * A page that cannot be read directly is read through the kernel by marker_run_guarded, which then takes every word for
 * a pointer: that keeps more and never less.
 */
#include "gc/mark_inl.h"

#include "heap/layout.h"

enum { TYPED_WORDS = 64 };

/* The words at lo that `bits` names; those in the arena go to m->words, behind the n that are there. Reads memory: may
 * fault. */
static uint32_t typed_gather(struct marker *m, uintptr_t lo, uint64_t bits, uint32_t n)
{
    for (; bits != 0; bits &= bits - 1) {
        uint64_t word = ((const uint64_t *)lo)[bits_ctz64(bits)];
        m->words[n] = word;
        n += (word & MARK_ADDRESS_MASK) - m->bounds.base < m->bounds.n_bytes;
    }
    return n;
}

void marker_scan_typed(struct marker *m, uintptr_t lo, size_t n_bytes)
{
    lo &= ~(uintptr_t)MARK_TYPED_TAG;
    const struct span *s = span_of_ref(slice_of(lo)->span);
    uint32_t n = 0;
    marker_begin_chunk();
    for (size_t at = 0; at < n_bytes; at += TYPED_WORDS * sizeof(uint64_t)) {
        size_t n_left = (n_bytes - at) / sizeof(uint64_t);
        uint64_t bits = layout_pointer_bits(s, lo + at);
        n = typed_gather(m, lo + at, bits & bits_low_mask(n_left < TYPED_WORDS ? (unsigned)n_left : TYPED_WORDS), n);
    }
    marker_end_chunk(m, n_bytes, n);
}
