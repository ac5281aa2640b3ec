/* What gc_malloc promises about the bytes of a block, in blocks that were used before. */
#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include "gcmalloc.h"
#include "test_util.h"

enum { N_BLOCKS = 300, SMALL_MAX = 600, JUNK = 0xa5 };

static const size_t sizes_beyond[] = {1000, 4000, 32768, 32769, 100000, 3000000};

static int is_all(const unsigned char *p, size_t n_bytes, int byte)
{
    for (size_t i = 0; i < n_bytes; i++)
        if (p[i] != byte)
            return 0;
    return 1;
}

/* Leaves free blocks of the size full of junk. */
static void soil(size_t size, unsigned flags)
{
    void *blocks[N_BLOCKS];
    for (int i = 0; i < N_BLOCKS; i++) {
        blocks[i] = gc_malloc(size, flags);
        TEST_CHECK(blocks[i] != NULL);
        memset(blocks[i], JUNK, malloc_usable_size(blocks[i]));
    }
    for (int i = 0; i < N_BLOCKS; i++)
        free(blocks[i]);
}

/* Short blocks without pointers share one. */
static size_t align_of(size_t size, unsigned flags)
{
    if (size > 12 || (flags & (GC_NOSCAN | GC_ROOT)) != GC_NOSCAN)
        return 16;
    return size >= 8 ? 8 : 4;
}

static void check_size(size_t size, unsigned flags)
{
    soil(size, flags);
    for (int i = 0; i < N_BLOCKS; i++) {
        unsigned char *p = gc_malloc(size, flags);
        TEST_CHECK(p != NULL && (uintptr_t)p % align_of(size, flags) == 0 && malloc_usable_size(p) >= size);
        if (!(flags & GC_NOZERO))
            TEST_CHECK(is_all(p, size, 0));
        /* what was not asked for nobody clears later */
        if (size <= 128 && !(flags & GC_NOSCAN))
            TEST_CHECK(is_all(p + size, malloc_usable_size(p) - size, 0));
    }
}

static void check_sizes(unsigned flags)
{
    for (size_t size = 0; size <= SMALL_MAX; size += size < 300 ? 1 : 7)
        check_size(size, flags);
    for (size_t i = 0; i < sizeof sizes_beyond / sizeof *sizes_beyond; i++) {
        void *p = gc_malloc(sizes_beyond[i], flags);
        memset(p, JUNK, sizes_beyond[i]);
        free(p);
        p = gc_malloc(sizes_beyond[i], flags);
        TEST_CHECK((flags & GC_NOZERO) || is_all(p, sizes_beyond[i], 0));
        free(p);
    }
}

/* A block that realloc had to copy. */
static void check_realloc(size_t size)
{
    soil(size, 0);
    for (int i = 0; i < N_BLOCKS; i++) {
        unsigned char *p = realloc(gc_malloc(size < 64 ? 1000 : 8, 0), size);
        TEST_CHECK(p != NULL && is_all(p + size, malloc_usable_size(p) - size, 0));
    }
}

static void check_refusals(void)
{
    errno = 0;
    TEST_CHECK(gc_malloc(16, 64) == NULL && errno == EINVAL);
    errno = 0;
    TEST_CHECK(gc_malloc((size_t)PTRDIFF_MAX + 1, 0) == NULL && errno == ENOMEM);
}

int main(void)
{
    for (unsigned flags = 0; flags <= (GC_NOSCAN | GC_NOZERO | GC_ROOT); flags++)
        check_sizes(flags);
    for (size_t size = 1; size <= SMALL_MAX; size += size < 100 ? 1 : 7)
        check_realloc(size);
    check_refusals();
    return 0;
}
