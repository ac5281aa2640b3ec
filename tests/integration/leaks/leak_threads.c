/* Several threads leak at once, hand blocks to one another, end and are replaced.
 *
 * usage: leak_threads total_mb limit_mb
 * Proves: what a thread leaks is reclaimed whoever allocated it, also after the thread has gone; what hangs
 * from another thread's table, or was only ever passed on, keeps its content.
 */
#include <pthread.h>
#include <stdatomic.h>
#include "test_util.h"

#define N_THREADS 4u
#define N_GENERATIONS 8u
#define N_SLOTS 2048u
#define N_MAILBOXES 256u

struct block {
    struct block *next; /* a short chain: some blocks are only reachable through others */
    uint32_t size_bytes, seed;
    unsigned char bytes[];
};

static _Atomic(struct block *) mailboxes[N_MAILBOXES];
static uint64_t bytes_per_thread;

static struct block *leak_new(uint64_t r, struct block *next)
{
    uint32_t size = (uint32_t)sizeof(struct block) + (uint32_t)(r % 1200);
    struct block *b = malloc(size);
    if (b == NULL)
        TEST_FAIL("malloc(%u) failed", size);
    *b = (struct block){.next = next, .size_bytes = size, .seed = (uint32_t)(r >> 40)};
    test_fill(b->bytes, size - sizeof(*b), b->seed);
    return b;
}

static void leak_verify(const struct block *b)
{
    for (; b != NULL; b = b->next)
        if (!test_is_filled(b->bytes, b->size_bytes - sizeof(*b), b->seed))
            TEST_FAIL("content of a live block changed");
}

/* The table lives on this thread's stack: the blocks have no other root. */
static void *leak_thread(void *arg)
{
    struct block *slots[N_SLOTS] = {0};
    uint64_t random = (uintptr_t)arg, allocated = 0;
    while (allocated < bytes_per_thread) {
        uint64_t r = test_random(&random);
        unsigned slot = (unsigned)(r % N_SLOTS);
        struct block *next =
            (r >> 20) % 4 == 0 && slots[slot] != NULL && slots[slot]->next == NULL ? slots[slot] : NULL;
        slots[slot] = leak_new(test_random(&random), next);
        allocated += slots[slot]->size_bytes;
        if ((r >> 30) % 16 == 0) {
            struct block *mine = slots[slot];
            slots[slot] = atomic_exchange(&mailboxes[(r >> 36) % N_MAILBOXES], mine);
            leak_verify(slots[slot]);
        }
    }
    for (unsigned i = 0; i < N_SLOTS; i++)
        leak_verify(slots[i]);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        TEST_FAIL("usage: leak_threads total_mb limit_mb");
    long limit_mb = strtol(argv[2], NULL, 10);
    uint64_t seed = test_env_number("GCM_SEED", 1);
    bytes_per_thread = (strtoull(argv[1], NULL, 10) << 20) / (N_THREADS * N_GENERATIONS);

    for (unsigned g = 0; g < N_GENERATIONS; g++) {
        pthread_t threads[N_THREADS];
        for (unsigned i = 0; i < N_THREADS; i++)
            if (pthread_create(&threads[i], NULL, leak_thread,
                               (void *)(uintptr_t)(seed * 1000 + g * N_THREADS + i)))
                TEST_FAIL("pthread_create");
        for (unsigned i = 0; i < N_THREADS; i++)
            pthread_join(threads[i], NULL);
    }
    for (unsigned i = 0; i < N_MAILBOXES; i++)
        leak_verify(mailboxes[i]);

    long peak_mb = test_peak_rss_mb();
    printf("peak %ld MB\n", peak_mb);
    if (peak_mb <= 0 || peak_mb >= limit_mb)
        TEST_FAIL("peak resident %ld MB, limit %ld MB", peak_mb, limit_mb);
    return 0;
}
