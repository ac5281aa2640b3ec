/* Mappings come and go while another thread collects, and each holds the only pointer to a block: one that was made after the
 * collection began is read, one that went is not missed. */
#include <sys/mman.h>
#include "trap.h"
enum { N_THREADS = 2, N_ROUNDS = 1500, BYTES = 16 * 4096, N_OTHERS = 60 };
static volatile uintptr_t *volatile maps[N_THREADS];

/* The address is in the mapping, and there alone. */
static __attribute__((noinline)) void make(int who, uint32_t seed)
{
    void *block = malloc(TRAP_SIZE);
    test_fill(block, TRAP_SIZE, seed);
    uintptr_t *map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(map != MAP_FAILED);
    map[777] = (uintptr_t)block;
    maps[who] = map;
}

static __attribute__((noinline)) void check(int who, uint32_t seed)
{
    if (!test_is_filled((void *)maps[who][777], TRAP_SIZE, seed))
        TEST_FAIL("a block was reclaimed, seed %u", seed);
}

static __attribute__((noinline)) void overwrite(void)
{
    for (int i = 0; i < N_OTHERS; i++)
        memset(malloc(TRAP_SIZE), 0xee, TRAP_SIZE);
}

static void *body(void *arg)
{
    int who = (int)(uintptr_t)arg;
    uint64_t random = (uint64_t)who + 1;
    for (uint32_t i = 0; i < N_ROUNDS; i++) {
        uint32_t seed = (uint32_t)who * N_ROUNDS + i;
        make(who, seed);
        trap_clear_stack();
        usleep((useconds_t)(test_random(&random) % 300));
        overwrite();
        check(who, seed);
        free((void *)maps[who][777]);
        TEST_CHECK(munmap((void *)maps[who], BYTES) == 0);
    }
    return NULL;
}

int main(void)
{
    pthread_t ids[N_THREADS], collector = trap_collector_start();
    for (uintptr_t i = 0; i < N_THREADS; i++)
        TEST_CHECK(pthread_create(&ids[i], NULL, body, (void *)i) == 0);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(ids[i], NULL);
    trap_collector_end(collector);
    trap_round(TRAP_SIZE, false);
    return 0;
}
