/* glibc's contract for every name of the malloc family, as a program sees it.
 *
 * Run preloaded, and linked with the shared and the static library. What lies under a name is compared with
 * what glibc 2.36 does and what its manual promises, never with what we happen to do.
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include "test_util.h"

#define MARK 12345 /* an errno that nobody sets */
#define PAGE 4096u
#define TOO_LARGE ((size_t)PTRDIFF_MAX + 1)

void free_sized(void *block, size_t size) __attribute__((weak));
void free_aligned_sized(void *block, size_t align, size_t size) __attribute__((weak));
void cfree(void *block) __attribute__((weak));
void *__libc_malloc(size_t size) __attribute__((weak));
void *__libc_calloc(size_t n, size_t size) __attribute__((weak));
void *__libc_realloc(void *block, size_t size) __attribute__((weak));
void *__libc_memalign(size_t align, size_t size) __attribute__((weak));
void *__libc_valloc(size_t size) __attribute__((weak));
void *__libc_pvalloc(size_t size) __attribute__((weak));
void __libc_free(void *block) __attribute__((weak));

static volatile size_t zero; /* keeps sizes and pointers from the compiler's knowledge */

static void *launder(void *block)
{
    __asm__ volatile("" : "+r"(block));
    return block;
}

static int is_aligned(const void *block, size_t align)
{
    return ((uintptr_t)block & (align - 1)) == 0;
}

/* Every byte of a block can be written and read back, malloc_usable_size bytes of them. */
static void use(void *block, size_t size, size_t align)
{
    TEST_CHECK(block != NULL);
    TEST_CHECK(is_aligned(block, align));
    size_t usable = malloc_usable_size(block);
    TEST_CHECK(usable >= size);
    test_fill(block, usable, (uint32_t)size + 7);
    TEST_CHECK(test_is_filled(block, usable, (uint32_t)size + 7));
    TEST_CHECK(malloc_usable_size(block) == usable);
}

static const size_t sizes[] = {
    0,     1,     7,     8,     15,    16,    17,    24,     31,      32,      33,      48,      63,
    64,    65,    80,    100,   127,   128,   129,   200,    256,     257,     511,     512,     513,
    1000,  1024,  1025,  2048,  3000,  4095,  4096,  4097,   8191,    8192,    9000,    16384,   20000,
    32767, 32768, 32769, 40000, 65535, 65536, 65537, 131072, 1000000, 1048576, 1048577, 3 << 20, 10 << 20};
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void malloc_gives_aligned_usable_blocks(void)
{
    for (size_t i = 0; i < N_SIZES; i++) {
        errno = MARK;
        void *block = malloc(sizes[i]);
        use(block, sizes[i], 16);
        free(block);
        TEST_CHECK(errno == MARK);
    }
}

static void malloc_zero_is_unique(void)
{
    void *a = malloc(zero), *b = malloc(zero), *c = calloc(zero, 8), *d = calloc(8, zero),
         *e = realloc(NULL, zero);
    void *all[] = {a, b, c, d, e};
    for (int i = 0; i < 5; i++) {
        TEST_CHECK(all[i] != NULL);
        for (int j = 0; j < i; j++)
            TEST_CHECK(all[i] != all[j]);
    }
    for (int i = 0; i < 5; i++)
        free(all[i]);
}

static void blocks_do_not_overlap(void)
{
    enum { N = 4000 };
    static unsigned char *blocks[N];
    static size_t lengths[N];
    uint64_t random = 7;
    for (unsigned i = 0; i < N; i++) {
        lengths[i] = test_random(&random) % (i % 100 == 0 ? 100000 : 700);
        blocks[i] = malloc(lengths[i]);
        TEST_CHECK(blocks[i] != NULL);
        test_fill(blocks[i], malloc_usable_size(blocks[i]), i);
        if (i % 3 == 0) {
            free(blocks[i / 2]);
            blocks[i / 2] = malloc(lengths[i / 2]);
            test_fill(blocks[i / 2], malloc_usable_size(blocks[i / 2]), i / 2);
        }
    }
    for (unsigned i = 0; i < N; i++)
        TEST_CHECK(test_is_filled(blocks[i], malloc_usable_size(blocks[i]), i));
    for (unsigned i = 0; i < N; i++)
        free(blocks[i]);
}

/* Of one size, many in use, a few freed and as many allocated: no slot is handed out while it is in use. */
static void slots_in_use_are_left_alone(void)
{
    enum { N = 500, SIZE = 40, AT_ONCE = 4, ROUNDS = 50000 };
    static uint64_t *blocks[N];
    uint64_t random = 11;
    for (uint64_t i = 0; i < N; i++)
        *(blocks[i] = malloc(SIZE)) = i;
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t first = test_random(&random) % (N - AT_ONCE), n = 1 + test_random(&random) % AT_ONCE;
        for (uint64_t i = first; i < first + n; i++) {
            TEST_CHECK(*blocks[i] == i);
            free(blocks[i]);
        }
        for (uint64_t i = first; i < first + n; i++)
            *(blocks[i] = malloc(SIZE)) = i;
    }
    for (uint64_t i = 0; i < N; i++) {
        TEST_CHECK(*blocks[i] == i);
        free(blocks[i]);
    }
}

#define REFUSES(expression)                                                                                  \
    do {                                                                                                     \
        errno = MARK;                                                                                        \
        void *refused_ = launder(expression);                                                                \
        TEST_CHECK(refused_ == NULL);                                                                        \
        TEST_CHECK(errno == ENOMEM);                                                                         \
    } while (0)

static void impossible_sizes_are_refused(void)
{
    size_t large[] = {TOO_LARGE + zero, SIZE_MAX - zero, SIZE_MAX - 15 - zero, SIZE_MAX - PAGE - zero};
    for (int i = 0; i < 4; i++) {
        void *block = malloc(40);
        memset(block, 0x33, 40);
        REFUSES(malloc(large[i]));
        REFUSES(calloc(1, large[i]));
        REFUSES(calloc(large[i], 1));
        REFUSES(realloc(NULL, large[i]));
        REFUSES(realloc(block, large[i]));
        REFUSES(reallocarray(NULL, 1, large[i]));
        REFUSES(memalign(64, large[i]));
        REFUSES(aligned_alloc(64, large[i]));
        REFUSES(valloc(large[i]));
        REFUSES(pvalloc(large[i]));
        for (int k = 0; k < 40; k++) /* a refused realloc leaves the block alone */
            TEST_CHECK(((char *)block)[k] == 0x33);
        free(block);
    }
    REFUSES(malloc((size_t)PTRDIFF_MAX - zero)); /* possible, but no machine has it */
}

static void products_that_overflow_are_refused(void)
{
    size_t half = (size_t)1 << 32;
    void *block = malloc(10);
    REFUSES(calloc(half + zero, half));
    REFUSES(calloc(half + 1, half + 1 + zero)); /* wraps round to a small number */
    REFUSES(calloc(SIZE_MAX / 2 + zero, 3));
    REFUSES(reallocarray(NULL, half + zero, half));
    REFUSES(reallocarray(block, half + 1, half + 1 + zero));
    free(block);
}

static void calloc_gives_zeroes(void)
{
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < N_SIZES; i++) {
            unsigned char *block = calloc(1, sizes[i]);
            TEST_CHECK(block != NULL && is_aligned(block, 16));
            for (size_t k = 0; k < sizes[i]; k++)
                TEST_CHECK(block[k] == 0);
            memset(block, 0xff, malloc_usable_size(block)); /* the next round gets it again */
            free(block);
        }
    }
    unsigned char *block = calloc(1000, 1000);
    for (size_t k = 0; k < 1000000; k++)
        TEST_CHECK(block[k] == 0);
    free(block);
}

static void realloc_keeps_content(void)
{
    for (size_t i = 0; i < N_SIZES; i++) {
        for (size_t j = 0; j < N_SIZES; j++) {
            if (sizes[j] == 0)
                continue;
            unsigned char *block = malloc(sizes[i]);
            test_fill(block, sizes[i], (uint32_t)(i * 100 + j));
            errno = MARK;
            block = realloc(block, sizes[j]);
            TEST_CHECK(block != NULL && is_aligned(block, 16) && errno == MARK);
            TEST_CHECK(malloc_usable_size(block) >= sizes[j]);
            TEST_CHECK(
                test_is_filled(block, sizes[i] < sizes[j] ? sizes[i] : sizes[j], (uint32_t)(i * 100 + j)));
            free(block);
        }
    }
}

static void realloc_grows_step_by_step(void)
{
    char *text = NULL;
    size_t length = 0;
    for (unsigned i = 0; i < 30000; i++) {
        text = realloc(text, length + 37);
        TEST_CHECK(text != NULL);
        memset(text + length, (int)('a' + i % 26), 37);
        length += 37;
    }
    for (unsigned i = 0; i < 30000; i++)
        TEST_CHECK(text[i * 37] == (char)('a' + i % 26) && text[i * 37 + 36] == (char)('a' + i % 26));
    while (length > 100) {
        length -= length / 3;
        text = realloc(text, length);
        TEST_CHECK(text != NULL && text[0] == 'a' &&
                   text[length - 1] == (char)('a' + (length - 1) / 37 % 26));
    }
    free(text);
}

static void realloc_to_zero_frees(void)
{
    errno = MARK;
    void *block = malloc(100);
    TEST_CHECK(realloc(block, zero) == NULL);
    block = malloc(3 << 20);
    TEST_CHECK(realloc(block, zero) == NULL);
    TEST_CHECK(errno == MARK);
}

static void realloc_of_aligned_keeps_content(void)
{
    for (size_t align = 32; align <= 1 << 16; align *= 2) {
        unsigned char *block = aligned_alloc(align, 1000);
        test_fill(block, 1000, (uint32_t)align);
        block = realloc(block, 5000);
        TEST_CHECK(test_is_filled(block, 1000, (uint32_t)align));
        free(block);
    }
}

static void usable_size_is_constant(void)
{
    TEST_CHECK(malloc_usable_size(NULL) == 0);
    for (size_t i = 0; i < N_SIZES; i++) {
        void *block = malloc(sizes[i]);
        size_t usable = malloc_usable_size(block);
        void *others[64];
        for (int k = 0; k < 64; k++)
            others[k] = malloc(sizes[i] % 5000);
        for (int k = 0; k < 64; k++)
            free(others[k]);
        TEST_CHECK(malloc_usable_size(block) == usable);
        free(block);
    }
}

static void alignment_is_kept(void)
{
    for (size_t align = 1; align <= (size_t)4 << 20; align *= 2) {
        for (size_t i = 0; i < N_SIZES; i += 5) {
            size_t at_least = align < 16 ? 16 : align;
            void *a = memalign(align, sizes[i]), *b = aligned_alloc(align, sizes[i]), *c = NULL;
            use(a, sizes[i], at_least);
            use(b, sizes[i], at_least);
            if (align >= sizeof(void *)) {
                TEST_CHECK(posix_memalign(&c, align, sizes[i]) == 0);
                use(c, sizes[i], at_least);
            }
            free(b);
            free(c);
            free(a);
        }
    }
}

/* glibc rounds a bad alignment up; it does not refuse it. */
static void memalign_rounds_up(void)
{
    size_t aligns[] = {0, 3, 24, 48, 100, 1000, 5000};
    size_t rounded[] = {16, 16, 32, 64, 128, 1024, 8192};
    for (int i = 0; i < 7; i++) {
        void *block = memalign(aligns[i], 100);
        use(block, 100, rounded[i]);
        free(block);
    }
    errno = MARK;
    TEST_CHECK(memalign((SIZE_MAX >> 1) + 2 + zero, 16) == NULL);
    TEST_CHECK(errno == EINVAL);
}

static void posix_memalign_reports_by_result(void)
{
    size_t bad[] = {0, 1, 2, 4, 12, 24, 100, 4095, SIZE_MAX};
    void *const untouched = &bad;
    for (int i = 0; i < 9; i++) {
        void *block = untouched;
        errno = MARK;
        TEST_CHECK(posix_memalign(&block, bad[i] + zero, 64) == EINVAL);
        TEST_CHECK(block == untouched && errno == MARK);
    }
    void *block = untouched;
    errno = MARK;
    TEST_CHECK(posix_memalign(&block, 64, TOO_LARGE + zero) == ENOMEM);
    TEST_CHECK(block == untouched && errno == MARK);
    TEST_CHECK(posix_memalign(&block, 64, zero) == 0 && block != NULL && block != untouched);
    free(block);
}

static void page_allocations(void)
{
    for (size_t i = 0; i < N_SIZES; i++) {
        void *a = valloc(sizes[i]), *b = pvalloc(sizes[i]);
        use(a, sizes[i], PAGE);
        use(b, (sizes[i] + PAGE - 1) / PAGE * PAGE, PAGE);
        free(a);
        free(b);
    }
}

static void free_keeps_errno(void)
{
    for (size_t i = 0; i < N_SIZES; i++) {
        void *block = malloc(sizes[i]);
        errno = MARK;
        free(block);
        TEST_CHECK(errno == MARK);
    }
    errno = MARK;
    free(NULL);
    TEST_CHECK(errno == MARK);
}

static void sized_frees(void)
{
    if (free_sized == NULL || free_aligned_sized == NULL)
        TEST_FAIL("free_sized or free_aligned_sized is missing");
    for (size_t i = 0; i < N_SIZES; i++) {
        free_sized(malloc(sizes[i]), sizes[i]);
        free_aligned_sized(aligned_alloc(64, sizes[i]), 64, sizes[i]);
    }
    free_sized(NULL, 10);
    free_aligned_sized(NULL, 64, 10);
    if (cfree != NULL)
        cfree(malloc(10));
}

/* A block of one name may be freed under another. */
static void libc_names_mix(void)
{
    TEST_CHECK(__libc_malloc != NULL && __libc_calloc != NULL && __libc_realloc != NULL &&
               __libc_free != NULL);
    TEST_CHECK(__libc_memalign != NULL && __libc_valloc != NULL && __libc_pvalloc != NULL);
    free(__libc_malloc(100));
    free(__libc_calloc(10, 10));
    free(__libc_realloc(malloc(10), 5000));
    free(__libc_memalign(64, 100));
    free(__libc_valloc(100));
    free(__libc_pvalloc(100));
    __libc_free(malloc(100));
    __libc_free(strdup("libc's own"));
    char *line = NULL;
    TEST_CHECK(asprintf(&line, "%d", 7) == 1);
    free(line);
}

static void *thread_body(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    for (int i = 0; i < 20000; i++) {
        size_t size = test_random(&random) % 3000;
        unsigned char *block = malloc(size);
        TEST_CHECK(block != NULL);
        test_fill(block, size, (uint32_t)i);
        if (i % 4 == 0)
            block = realloc(block, size + 100);
        TEST_CHECK(test_is_filled(block, size, (uint32_t)i));
        free(block);
    }
    return malloc(50);
}

static void threads_allocate(void)
{
    pthread_t threads[8];
    for (uintptr_t i = 0; i < 8; i++)
        TEST_CHECK(pthread_create(&threads[i], NULL, thread_body, (void *)(i + 1)) == 0);
    for (int i = 0; i < 8; i++) {
        void *block;
        TEST_CHECK(pthread_join(threads[i], &block) == 0);
        free(block);
    }
}

/* The names must be the library's, or all of the above was a test of libc. */
static void names_are_the_librarys(void)
{
    static const char *const names[] = {"malloc",
                                        "calloc",
                                        "realloc",
                                        "reallocarray",
                                        "free",
                                        "cfree",
                                        "aligned_alloc",
                                        "posix_memalign",
                                        "memalign",
                                        "valloc",
                                        "pvalloc",
                                        "malloc_usable_size",
                                        "free_sized",
                                        "free_aligned_sized",
                                        "mallinfo",
                                        "mallinfo2",
                                        "mallopt",
                                        "malloc_trim",
                                        "malloc_stats",
                                        "malloc_info",
                                        "__libc_malloc",
                                        "__libc_calloc",
                                        "__libc_realloc",
                                        "__libc_free",
                                        "__libc_memalign",
                                        "__libc_valloc",
                                        "__libc_pvalloc"};
    Dl_info ours, other;
    void *gc_collect_address = dlsym(RTLD_DEFAULT, "gc_collect");
    if (gc_collect_address == NULL || dladdr(gc_collect_address, &ours) == 0)
        TEST_FAIL("gc_collect is not there: the library is not loaded");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        void *address = dlsym(RTLD_DEFAULT, names[i]);
        if (address == NULL || dladdr(address, &other) == 0 || other.dli_fbase != ours.dli_fbase)
            TEST_FAIL("%s is not the library's", names[i]);
    }
}

int main(void)
{
#define RUN(f) (dprintf(1, "%s\n", #f), f())
    RUN(names_are_the_librarys);
    RUN(malloc_gives_aligned_usable_blocks);
    RUN(malloc_zero_is_unique);
    RUN(blocks_do_not_overlap);
    RUN(slots_in_use_are_left_alone);
    RUN(impossible_sizes_are_refused);
    RUN(products_that_overflow_are_refused);
    RUN(calloc_gives_zeroes);
    RUN(realloc_keeps_content);
    RUN(realloc_grows_step_by_step);
    RUN(realloc_to_zero_frees);
    RUN(realloc_of_aligned_keeps_content);
    RUN(usable_size_is_constant);
    RUN(alignment_is_kept);
    RUN(memalign_rounds_up);
    RUN(posix_memalign_reports_by_result);
    RUN(page_allocations);
    RUN(free_keeps_errno);
    RUN(sized_frees);
    RUN(libc_names_mix);
    RUN(threads_allocate);
    return 0;
}
