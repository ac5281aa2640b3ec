/* Large blocks, 64 KiB to 64 MiB, every power of two as often as the next: allocated, grown by a half, freed
 * at random; eight alive at a time. Only the start and the end of a block and every 16th page are written: an
 * allocator (or a collector) that touches pages which the program did not touch shows in the memory column.
 */
#include "bench.h"

enum { N_SLOTS = 8, OPS_PER_SCALE = 30, LOW_BITS = 16, HIGH_BITS = 26, STRIDE_BYTES = 16 * 4096 };

struct slot {
    unsigned char *block;
    size_t size_bytes;
};

static void slot_write(struct slot *slot, size_t from, uint64_t tag)
{
    for (size_t at = from; at < slot->size_bytes; at += STRIDE_BYTES)
        slot->block[at] = (unsigned char)at;
    bench_stamp(slot->block, slot->size_bytes, tag);
}

static uint64_t slot_drop(struct slot *slot)
{
    uint64_t sum = slot->block != NULL ? bench_stamp_check(slot->block, slot->size_bytes) : 0;
    free(slot->block);
    slot->block = NULL;
    return sum;
}

static uint64_t slot_grow(struct slot *slot, uint64_t tag)
{
    uint64_t sum = bench_stamp_check(slot->block, slot->size_bytes);
    size_t old_bytes = slot->size_bytes;
    slot->size_bytes += slot->size_bytes / 2;
    slot->block = bench_checked(realloc(slot->block, slot->size_bytes));
    slot_write(slot, old_bytes, tag);
    return sum;
}

int main(int argc, char **argv)
{
    struct slot slots[N_SLOTS] = {{NULL, 0}};
    struct bench_rng rng = bench_rng_seed(4);
    uint64_t sum = 0;
    for (unsigned op = OPS_PER_SCALE * bench_scale(argc, argv); op > 0; op--) {
        struct slot *slot = &slots[bench_rng_below(&rng, N_SLOTS)];
        sum += slot_drop(slot);
        slot->size_bytes = bench_rng_size(&rng, LOW_BITS, HIGH_BITS);
        slot->block = bench_malloc(slot->size_bytes);
        slot_write(slot, 0, bench_rng_next(&rng));
        if (bench_rng_below(&rng, 2) == 0)
            sum += slot_grow(slot, bench_rng_next(&rng));
    }
    for (unsigned i = 0; i < N_SLOTS; i++)
        sum += slot_drop(&slots[i]);
    bench_print_checksum(sum);
    return 0;
}
