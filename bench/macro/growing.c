/* A heap that grows and frees everything itself: records linked into a tree by key up to 20 MiB for each unit
 * of the scale, every second one removed, filled up again, and torn down. Nothing leaks: for a collector
 * under an explicit free every cycle here is wasted, and this program shows how many it pays for. */
#include "bench.h"

enum { RECORDS_PER_SCALE = 50000, N_STRIPES = 4096, MIN_BYTES = 64, MAX_BYTES = 768 };

struct record {
    struct record *next, *sibling;
    uint64_t tag;
    size_t size_bytes;
};

static struct record *stripes[N_STRIPES];

static void record_add(struct bench_rng *rng)
{
    size_t size_bytes = MIN_BYTES + bench_rng_below(rng, MAX_BYTES - MIN_BYTES);
    struct record **stripe = &stripes[bench_rng_below(rng, N_STRIPES)];
    struct record *record = bench_malloc(size_bytes);
    bench_stamp(record, size_bytes, 0);
    *record =
        (struct record){*stripe, *stripe != NULL ? (*stripe)->next : NULL, bench_rng_next(rng), size_bytes};
    *stripe = record;
}

/* Frees every n-th record of each stripe (n 1: all). */
static uint64_t records_drop(unsigned nth)
{
    uint64_t sum = 0;
    for (unsigned s = 0; s < N_STRIPES; s++) {
        struct record **link = &stripes[s];
        for (unsigned i = 0; *link != NULL; i++) {
            struct record *record = *link;
            if (i % nth != 0) {
                record->sibling = NULL;
                link = &record->next;
                continue;
            }
            sum += record->tag ^ record->size_bytes;
            *link = record->next;
            free(record);
        }
    }
    return sum;
}

int main(int argc, char **argv)
{
    struct bench_rng rng = bench_rng_seed(15);
    unsigned n_records = RECORDS_PER_SCALE * bench_scale(argc, argv);
    for (unsigned n = 0; n < n_records; n++)
        record_add(&rng);
    uint64_t sum = records_drop(2);
    for (unsigned n = 0; n < n_records / 2; n++)
        record_add(&rng);
    sum += records_drop(1);
    bench_print_checksum(sum);
    return 0;
}
