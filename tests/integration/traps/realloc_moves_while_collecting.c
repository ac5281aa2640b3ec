/* A block is reachable until realloc has copied it, at every size, also where pages move instead of bytes:
 * several threads resize while another collects, and targets hang from the resized blocks alone. */
#include "trap.h"
#define N_THREADS 3

struct table {
    size_t n;
    unsigned char *entries[];
};

static void *body(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    struct table *t = calloc(1, sizeof(*t) + sizeof(t->entries[0]));
    for (int round = 0; round < 400; round++) {
        size_t n = 1 + test_random(&random) % (round % 20 == 0 ? 60000 : 2000);
        for (size_t i = n; i < t->n; i++)
            t->entries[i] = NULL;
        size_t n_old = t->n;
        t = realloc(t, sizeof(*t) + n * sizeof(t->entries[0]));
        TEST_CHECK(t != NULL);
        for (size_t i = n_old; i < n; i++)
            t->entries[i] = NULL;
        t->n = n;
        for (size_t i = 0; i < n; i += 97) {
            if (t->entries[i] != NULL && !test_is_filled(t->entries[i], 150, (uint32_t)i))
                TEST_FAIL("a block that hangs from a resized one was reclaimed");
            t->entries[i] = malloc(150);
            test_fill(t->entries[i], 150, (uint32_t)i);
        }
    }
    return NULL;
}

int main(void)
{
    pthread_t ids[N_THREADS], collector = trap_collector_start();
    for (uintptr_t i = 0; i < N_THREADS; i++)
        TEST_CHECK(pthread_create(&ids[i], NULL, body, (void *)(i + 5)) == 0);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(ids[i], NULL);
    trap_collector_end(collector);
    return 0;
}
