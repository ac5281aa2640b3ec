/* A long run whose sizes drift: the bytes alive stay the same while the typical size wanders from small to
 * large and back, so that memory laid out for one phase has to serve the next. What survives is chosen at
 * random. Metrics: resident / live at the worst moment and at the end (1.0 is perfect). */
#include "bench.h"

enum { PHASES = 14, KIB_PER_SCALE = 2048, MAX_SLOTS = 1 << 20, TURNOVERS = 2 };

struct slot {
    void *block;
    size_t size_bytes;
};

static struct slot slots[MAX_SLOTS];
static size_t n_slots, live_bytes;
static uint64_t sum;

/* Blocks die in random order: the last slot fills the gap. */
static void slot_drop_random(struct bench_rng *rng)
{
    uint32_t i = bench_rng_below(rng, (uint32_t)n_slots);
    sum += bench_stamp_check(slots[i].block, slots[i].size_bytes);
    free(slots[i].block);
    live_bytes -= slots[i].size_bytes;
    slots[i] = slots[--n_slots];
}

static void slot_add(struct bench_rng *rng, unsigned low_bits)
{
    size_t size_bytes = bench_rng_size(rng, low_bits, low_bits + 4);
    void *block = bench_malloc(size_bytes);
    memset(block, 0x5a, size_bytes);
    bench_stamp(block, size_bytes, bench_rng_next(rng));
    slots[n_slots++] = (struct slot){block, size_bytes};
    live_bytes += size_bytes;
}

/* Sizes climb from 2^4..2^8 to 2^11..2^15 and come back. */
static unsigned phase_low_bits(unsigned phase)
{
    unsigned half = PHASES / 2;
    return 4 + (phase < half ? phase : PHASES - 1 - phase);
}

static void phase_run(struct bench_rng *rng, unsigned phase, size_t goal_bytes)
{
    size_t done_bytes = 0;
    while (done_bytes < TURNOVERS * goal_bytes) {
        slot_add(rng, phase_low_bits(phase));
        done_bytes += slots[n_slots - 1].size_bytes;
        while (live_bytes > goal_bytes || n_slots == MAX_SLOTS)
            slot_drop_random(rng);
    }
}

int main(int argc, char **argv)
{
    struct bench_rng rng = bench_rng_seed(13);
    size_t goal_bytes = (size_t)bench_scale(argc, argv) * KIB_PER_SCALE * 1024;
    double worst = 0, last = 0;
    memset(slots, 0, sizeof slots); /* resident before the first look, and not counted */
    size_t own_kib = bench_resident_kib();
    for (unsigned phase = 0; phase < PHASES; phase++) {
        phase_run(&rng, phase, goal_bytes);
        last = (double)(bench_resident_kib() - own_kib) * 1024 / (double)live_bytes;
        worst = last > worst ? last : worst;
    }
    while (n_slots > 0)
        slot_drop_random(&rng);
    bench_print_checksum(sum);
    bench_print_metric("shift-resident/live-worst", worst);
    bench_print_metric("shift-resident/live-end", last);
    return 0;
}
