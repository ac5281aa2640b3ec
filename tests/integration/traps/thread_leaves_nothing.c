/* Threads that come and go leave nothing behind, also those that set a small alternate stack (in whose place they were given one of
 * ours) and those in which a destructor of the program's allocates after ours has run for the last time: neither mappings nor blocks become more. */
#include <malloc.h>
#include <signal.h>
#include <sys/auxv.h>
#include "trap.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif
enum { N_BEFORE = 100, N_THREADS = 1000, MAX_MORE_MAPS = 100, MAX_MORE_BYTES = 4 << 20 };

static pthread_key_t key;

/* In each round that libc makes. */
static void destroy(void *value)
{
    free(malloc(100));
    pthread_setspecific(key, value);
}

static void *body(void *arg)
{
    static __thread char small[16384];
    size_t size = getauxval(AT_MINSIGSTKSZ) > 2048 ? getauxval(AT_MINSIGSTKSZ) : 2048;
    stack_t alternate = {.ss_sp = small, .ss_size = size};
    TEST_CHECK(sigaltstack(&alternate, NULL) == 0);
    TEST_CHECK(pthread_setspecific(key, &key) == 0);
    return arg;
}

static void run_threads(int n)
{
    for (int i = 0; i < n; i++) {
        pthread_t id;
        TEST_CHECK(pthread_create(&id, NULL, body, NULL) == 0);
        TEST_CHECK(pthread_join(id, NULL) == 0);
    }
}

static int count_maps(void)
{
    FILE *f = fopen("/proc/self/maps", "r");
    int n = 0;
    TEST_CHECK(f != NULL);
    for (int c; (c = getc(f)) != EOF;)
        n += c == '\n';
    fclose(f);
    return n;
}

static size_t bytes_in_use(void)
{
    trap_gc(TRAP_GC_FULL);
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

int main(void)
{
    TEST_CHECK(pthread_key_create(&key, destroy) == 0);
    run_threads(N_BEFORE);
    int n_maps = count_maps();
    size_t n_bytes = bytes_in_use();
    run_threads(N_THREADS);
    int n_more_maps = count_maps() - n_maps;
    size_t n_bytes_after = bytes_in_use();
    if (n_more_maps > MAX_MORE_MAPS)
        TEST_FAIL("%d more mappings after %d threads", n_more_maps, N_THREADS);
    if (n_bytes_after > n_bytes + MAX_MORE_BYTES)
        TEST_FAIL("%zu more bytes after %d threads", n_bytes_after - n_bytes, N_THREADS);
    return 0;
}
