/* A store in memory that answers requests: each looks up ten records and replaces ten. One thread, closed
 * loop; about 10 MiB live for each unit of the scale, all of it replaced two and a half times, so that every
 * collector has to collect meanwhile. Metrics: requests a second, and how long single requests took: the
 * median, the 99.9th percentile, the longest. A collector's stops are in the last two. */
#include "alloc.h"

enum {
    RECORDS_PER_SCALE = 40000,
    REQUESTS_PER_SCALE = 10000,
    N_LOOKUPS = 10,
    N_REPLACED = 10,
    MIN_PAYLOAD_BYTES = 32,
    MAX_PAYLOAD_BYTES = 352,
    SUB_BITS = 4, /* 16 steps from one power of two to the next: percentiles are right to 6 % */
    N_BUCKETS = 64 << SUB_BITS
};

struct record {
    uint64_t version;
    uint32_t payload_bytes;
    unsigned char *payload;
};

static uint32_t histogram[N_BUCKETS];

static unsigned bucket_of(uint64_t ns)
{
    if (ns < 1u << SUB_BITS)
        return (unsigned)ns;
    unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - SUB_BITS;
    return ((shift + 1) << SUB_BITS) + (unsigned)(ns >> shift) - (1u << SUB_BITS);
}

static double bucket_us(unsigned bucket)
{
    if (bucket < 1u << SUB_BITS)
        return bucket / 1000.0;
    unsigned shift = (bucket >> SUB_BITS) - 1;
    uint64_t ns = (uint64_t)((bucket & ((1u << SUB_BITS) - 1)) + (1u << SUB_BITS)) << shift;
    return (double)ns / 1000.0;
}

static double percentile_us(double share, unsigned n_requests)
{
    uint64_t seen = 0;
    unsigned bucket = 0;
    for (; bucket < N_BUCKETS - 1; bucket++) {
        seen += histogram[bucket];
        if ((double)seen >= share * n_requests)
            break;
    }
    return bucket_us(bucket);
}

static struct record *record_new(struct bench_rng *rng)
{
    struct record *record = alloc_new(sizeof *record);
    uint32_t payload_bytes = MIN_PAYLOAD_BYTES + bench_rng_below(rng, MAX_PAYLOAD_BYTES - MIN_PAYLOAD_BYTES);
    *record = (struct record){bench_rng_next(rng), payload_bytes, alloc_new_noscan(payload_bytes)};
    memset(record->payload, (int)(record->version & 127), payload_bytes);
    return record;
}

static uint64_t record_drop(struct record *record)
{
    uint64_t sum = record->version;
    alloc_drop(record->payload);
    alloc_drop(record);
    return sum;
}

static uint64_t request_answer(struct record **records, uint32_t n_records, struct bench_rng *rng)
{
    uint64_t sum = 0;
    for (unsigned n = 0; n < N_LOOKUPS; n++) {
        const struct record *record = records[bench_rng_below(rng, n_records)];
        sum += record->payload[record->payload_bytes / 2];
    }
    for (unsigned n = 0; n < N_REPLACED; n++) {
        struct record **slot = &records[bench_rng_below(rng, n_records)];
        sum += record_drop(*slot);
        *slot = record_new(rng);
    }
    return sum;
}

static void metrics_print(unsigned n_requests, uint64_t total_ns, uint64_t longest_ns)
{
    bench_print_metric("latency-requests/s", n_requests * 1e9 / (double)total_ns);
    bench_print_metric("latency-median-us", percentile_us(0.5, n_requests));
    bench_print_metric("latency-p99.9-us", percentile_us(0.999, n_requests));
    bench_print_metric("latency-longest-us", (double)longest_ns / 1000);
}

int main(int argc, char **argv)
{
    unsigned scale = bench_scale(argc, argv), n_requests = REQUESTS_PER_SCALE * scale;
    uint32_t n_records = RECORDS_PER_SCALE * scale;
    struct bench_rng rng = bench_rng_seed(30);
    uint64_t sum = 0, longest_ns = 0;
    alloc_init();
    struct record **records = alloc_new(n_records * sizeof *records);
    for (uint32_t i = 0; i < n_records; i++)
        records[i] = record_new(&rng);
    uint64_t start_ns = bench_now_ns(), last_ns = start_ns;
    for (unsigned n = 0; n < n_requests; n++) {
        sum = sum * 3 + request_answer(records, n_records, &rng);
        uint64_t now_ns = bench_now_ns();
        histogram[bucket_of(now_ns - last_ns)]++;
        longest_ns = now_ns - last_ns > longest_ns ? now_ns - last_ns : longest_ns;
        last_ns = now_ns;
    }
    metrics_print(n_requests, last_ns - start_ns, longest_ns);
    bench_print_checksum(sum);
    return 0;
}
