/* What the malloc family tells about itself and gives back: mallinfo, malloc_trim, mallopt, malloc_info. */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include "test_util.h"

void gc_collect(void) __attribute__((weak));

static void figures_are_sane(void)
{
    enum { N = 1000, SIZE = 10000 };
    static void *blocks[N];
    struct mallinfo2 before = mallinfo2();
    for (int i = 0; i < N; i++)
        memset(blocks[i] = malloc(SIZE), 1, SIZE);
    struct mallinfo2 during = mallinfo2();
    TEST_CHECK(during.uordblks >= before.uordblks + (size_t)N * SIZE);
    TEST_CHECK(during.uordblks <= before.uordblks + (size_t)N * SIZE * 2);
    TEST_CHECK(during.arena + during.hblkhd >= during.uordblks);
    struct mallinfo old = mallinfo();
    TEST_CHECK((size_t)old.uordblks >= (size_t)N * SIZE);
    for (int i = 0; i < N; i++)
        free(blocks[i]);
    struct mallinfo2 after = mallinfo2();
    TEST_CHECK(after.uordblks <= before.uordblks + (size_t)N * SIZE / 10);
}

static void trim_gives_memory_back(void)
{
    enum { N = 30000, SIZE = 1000 };
    static void *blocks[N];
    for (int i = 0; i < N; i++)
        memset(blocks[i] = malloc(SIZE), 1, SIZE);
    long full_kb = test_proc_status("VmRSS");
    for (int i = 0; i < N; i++)
        free(blocks[i]);
    int result = malloc_trim(0);
    TEST_CHECK(result == 0 || result == 1);
    long trimmed_kb = test_proc_status("VmRSS");
    if (trimmed_kb > full_kb - (long)N * SIZE / 1024 / 2)
        TEST_FAIL("%ld kB resident before, %ld kB after all was freed and trimmed", full_kb, trimmed_kb);
}

static void questions_are_answered(void)
{
    TEST_CHECK(mallopt(M_MMAP_THRESHOLD, 65536) == 1);
    TEST_CHECK(mallopt(M_ARENA_MAX, 2) == 1);
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    TEST_CHECK(malloc_info(0, out) == 0);
    fclose(out);
    TEST_CHECK(strstr(text, "<malloc") != NULL && strstr(text, "</malloc>") != NULL);
    free(text);
    errno = 0;
    TEST_CHECK(malloc_info(1, stderr) == EINVAL);
}

int main(void)
{
    if (gc_collect == NULL)
        TEST_FAIL("the library is not loaded");
    figures_are_sane();
    trim_gives_memory_back();
    questions_are_answered();
    return 0;
}
