/* Handlers that allocate, free and sometimes leave by siglongjmp strike four threads in the middle of malloc and free,
 * while others collect: no bit of a half done fast path may be lost, neither to the handler nor to the collector. */
#include <setjmp.h>
#include <signal.h>
#include <time.h>
#include "trap.h"

enum { N_WORKERS = 4, N_BLOCKS = 1000, N_HANDLER_BLOCKS = 8, JUMP_EVERY = 3, N_SECONDS = 3, PAUSE_NS = 20000 };

struct block {
    unsigned char *start;
    size_t size_bytes;
};
static _Thread_local sigjmp_buf way_out;
static _Thread_local volatile sig_atomic_t may_jump, n_handled;
static _Thread_local uint64_t handler_random;
static _Atomic int is_over;
static _Atomic long n_handled_total, n_jumped_total;

static void check_block(const struct block *b, uint32_t seed)
{
    if (b->start != NULL && !test_is_filled(b->start, b->size_bytes, seed))
        TEST_FAIL("a block of %zu bytes changed", b->size_bytes);
}

static void new_block(struct block *b, size_t size_bytes, uint32_t seed)
{
    b->start = malloc(size_bytes);
    b->size_bytes = size_bytes;
    test_fill(b->start, size_bytes, seed);
}

static void handler(int sig)
{
    struct block blocks[N_HANDLER_BLOCKS];

    for (uint32_t i = 0; i < N_HANDLER_BLOCKS; i++)
        new_block(&blocks[i], 16 + test_random(&handler_random) % 300, i);
    for (uint32_t i = 0; i < N_HANDLER_BLOCKS; i++) {
        check_block(&blocks[i], i);
        free(blocks[i].start);
    }
    n_handled++;
    if (may_jump && n_handled % JUMP_EVERY == 0) {
        atomic_fetch_add(&n_jumped_total, 1);
        siglongjmp(way_out, sig);
    }
}

static void exchange_blocks(struct block *blocks, uint64_t *random)
{
    for (int k = 0; k < 1000; k++) {
        uint32_t i = (uint32_t)(test_random(random) % N_BLOCKS);
        struct block old = blocks[i];

        check_block(&old, i);
        blocks[i].start = NULL;
        free(old.start);
        new_block(&blocks[i], 16 + test_random(random) % (k % 16 == 0 ? 5000 : 200), i);
    }
}

/* Only blocks that nothing refers to are lost by a jump. */
static void lose_blocks(void)
{
    may_jump = 1;
    for (int k = 0; k < 3000; k++)
        free(malloc(40));
    may_jump = 0;
}

static void *work(void *arg)
{
    static _Thread_local struct block blocks[N_BLOCKS];
    static _Thread_local uint64_t random;

    random = handler_random = (uintptr_t)arg;
    sigsetjmp(way_out, 1);
    while (!atomic_load(&is_over)) {
        may_jump = 0;
        exchange_blocks(blocks, &random);
        lose_blocks();
    }
    atomic_fetch_add(&n_handled_total, n_handled);
    return NULL;
}

static void strike(pthread_t *workers)
{
    struct timespec pause = {0, PAUSE_NS};
    time_t end = time(NULL) + N_SECONDS;

    for (int i = 0; time(NULL) < end; i++) {
        pthread_kill(workers[i % N_WORKERS], SIGUSR1);
        nanosleep(&pause, NULL);
    }
}

int main(void)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    pthread_t workers[N_WORKERS], collector = trap_collector_start();

    sigaction(SIGUSR1, &action, NULL);
    for (uintptr_t i = 0; i < N_WORKERS; i++)
        pthread_create(&workers[i], NULL, work, (void *)(i + 1));
    strike(workers);
    atomic_store(&is_over, 1);
    for (int i = 0; i < N_WORKERS; i++)
        pthread_join(workers[i], NULL);
    trap_collector_end(collector);
    TEST_CHECK(atomic_load(&n_handled_total) > 100);
    TEST_CHECK(atomic_load(&n_jumped_total) > 0);
    return 0;
}
