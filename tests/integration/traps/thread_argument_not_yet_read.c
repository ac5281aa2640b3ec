/* The argument of a new thread is known to nobody else until the thread reads it: threads start while others
 * collect. */
#include "trap.h"
#define N_ROUNDS 60
#define N_THREADS 20

struct message {
    uint32_t seed;
    unsigned char bytes[TRAP_SIZE - 4];
};

static void *body(void *arg)
{
    struct message *m = arg;
    if (!test_is_filled(m->bytes, sizeof(m->bytes), m->seed))
        TEST_FAIL("the argument of a new thread was reclaimed");
    free(m);
    return NULL;
}

static __attribute__((noinline)) pthread_t start(uint32_t seed)
{
    pthread_t id;
    struct message *m = malloc(sizeof(*m));
    m->seed = seed;
    test_fill(m->bytes, sizeof(m->bytes), seed);
    if (pthread_create(&id, NULL, body, m) != 0)
        TEST_FAIL("pthread_create");
    return id;
}

int main(void)
{
    pthread_t collector = trap_collector_start();
    for (uint32_t round = 0; round < N_ROUNDS; round++) {
        pthread_t ids[N_THREADS];
        for (uint32_t i = 0; i < N_THREADS; i++) {
            ids[i] = start(round * N_THREADS + i);
            trap_clear_stack();
            for (int k = 0; k < 20; k++)
                memset(malloc(sizeof(struct message)), 0xee,
                       sizeof(struct message)); /* left for the collector */
        }
        for (uint32_t i = 0; i < N_THREADS; i++)
            pthread_join(ids[i], NULL);
    }
    trap_collector_end(collector);
    return 0;
}
