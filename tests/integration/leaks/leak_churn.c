/* A program that never calls free: `total` MB pass through a table of about 10 MB of live blocks.
 *
 * usage: leak_churn total_mb limit_mb
 * Proves: memory follows what is live (peak below limit), and every live block keeps its content to the end.
 */
#include "test_util.h"

#define N_SLOTS 16384u
#define MEAN_BYTES 640u

struct block {
    uint32_t size_bytes; /* of the whole block */
    uint32_t seed;
    unsigned char bytes[];
};

static struct block *slots[N_SLOTS]; /* the only references to the live blocks */

/* Mostly small, now and then a large one: 1 in 4096 is up to 256 KiB. */
static uint32_t churn_size(uint64_t r)
{
    if ((r & 4095) == 0)
        return 32768 + (uint32_t)(r >> 20) % 229376;
    return (uint32_t)sizeof(struct block) + 8 + (uint32_t)(r >> 20) % (2 * MEAN_BYTES - 32);
}

static struct block *churn_new(uint64_t r)
{
    uint32_t size = churn_size(r);
    struct block *b = malloc(size);
    if (b == NULL)
        TEST_FAIL("malloc(%u) failed", size);
    b->size_bytes = size;
    b->seed = (uint32_t)(r >> 32);
    test_fill(b->bytes, size - sizeof(*b), b->seed);
    return b;
}

static void churn_verify(const struct block *b, unsigned slot)
{
    if (b != NULL && !test_is_filled(b->bytes, b->size_bytes - sizeof(*b), b->seed))
        TEST_FAIL("slot %u: content of a live block changed", slot);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        TEST_FAIL("usage: leak_churn total_mb limit_mb");
    uint64_t total = strtoull(argv[1], NULL, 10) << 20, allocated = 0;
    long limit_mb = strtol(argv[2], NULL, 10);
    uint64_t random = test_env_number("GCM_SEED", 1);

    while (allocated < total) {
        uint64_t r = test_random(&random);
        unsigned slot = (unsigned)(r >> 8) % N_SLOTS;
        if ((r & 15) == 0)
            churn_verify(slots[slot], slot);
        slots[slot] = churn_new(test_random(&random));
        allocated += slots[slot]->size_bytes;
    }
    for (unsigned i = 0; i < N_SLOTS; i++)
        churn_verify(slots[i], i);

    long peak_mb = test_peak_rss_mb();
    printf("allocated %llu MB, peak %ld MB\n", (unsigned long long)(allocated >> 20), peak_mb);
    if (peak_mb <= 0 || peak_mb >= limit_mb)
        TEST_FAIL("peak resident %ld MB, limit %ld MB", peak_mb, limit_mb);
    return 0;
}
