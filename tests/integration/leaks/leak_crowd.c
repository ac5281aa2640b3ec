/* Many more threads than cores leak as fast as they can.
 *
 * usage: leak_crowd total_mb limit_mb
 * Proves: the thread that collects gets its turns, although all others could go on allocating until it has stopped them.
 */
#include <pthread.h>
#include "test_util.h"

enum { N_THREADS = 64, BLOCK_BYTES = 256 };

static void *leak_thread(void *arg)
{
    void *block = NULL;
    for (size_t n = *(size_t *)arg; n != 0; n--) {
        void **next = malloc(BLOCK_BYTES);
        TEST_CHECK(next != NULL);
        *next = n % 16 == 0 ? NULL : block;
        block = next;
    }
    return block;
}

int main(int argc, char **argv)
{
    pthread_t threads[N_THREADS];
    TEST_CHECK(argc == 3);
    long limit_mb = strtol(argv[2], NULL, 10);
    size_t n_blocks = (strtoul(argv[1], NULL, 10) << 20) / BLOCK_BYTES / N_THREADS;
    for (unsigned t = 0; t < N_THREADS; t++)
        TEST_CHECK(pthread_create(&threads[t], NULL, leak_thread, &n_blocks) == 0);
    for (unsigned t = 0; t < N_THREADS; t++)
        pthread_join(threads[t], NULL);
    long peak_mb = test_peak_rss_mb();
    printf("peak %ld MB\n", peak_mb);
    if (peak_mb <= 0 || peak_mb >= limit_mb)
        TEST_FAIL("peak resident %ld MB, limit %ld MB", peak_mb, limit_mb);
    return 0;
}
