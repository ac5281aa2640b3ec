/* A program that defines malloc and free itself, but not the rest: all calls are passed through, nothing is mixed up,
 * and what gc_malloc gives is kept by a pointer in the program's own blocks. Before main the library calls none of them: GNU Common
 * Lisp's, of an image that was written with its heap in it, is not ready. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "test_util.h"
void *gc_malloc(size_t size, unsigned flags) __attribute__((weak));
int gc_collect_level(int level) __attribute__((weak));
void *gc_find_object(const void *addr, size_t *size) __attribute__((weak));
enum { POOL_BYTES = 64 << 20, ALIGN = 32 };
static _Alignas(ALIGN) char pool[POOL_BYTES];
static size_t used;
static unsigned n_frees;
static size_t used_before_main;

void *malloc(size_t size)
{
    size_t need = (size + ALIGN - 1 + ALIGN) & ~(size_t)(ALIGN - 1);
    size_t at = __atomic_fetch_add(&used, need, __ATOMIC_RELAXED);
    if (at + need > POOL_BYTES)
        return NULL;
    *(size_t *)(pool + at) = size;
    return pool + at + ALIGN / 2;
}

void free(void *p)
{
    if (p != NULL && ((char *)p < pool || (char *)p >= pool + POOL_BYTES))
        TEST_FAIL("%p is not of this malloc", p);
    n_frees += p != NULL;
}

void *calloc(size_t n, size_t size)
{
    void *p = malloc(n * size);
    return p != NULL ? memset(p, 0, n * size) : NULL;
}

void *realloc(void *p, size_t size)
{
    void *q = malloc(size);
    if (p != NULL && q != NULL) {
        size_t old = *(size_t *)((char *)p - ALIGN / 2);
        memcpy(q, p, old < size ? old : size);
    }
    return q;
}

static void *body(void *arg)
{
    free(strdup("text of a thread"));
    return arg;
}

/* Block i holds block i + 1; only the first is known, to a block of the program's malloc. */
static void check_gc_blocks(void)
{
    enum { N = 1000 };
    static void ***volatile root;
    if (gc_malloc == NULL || gc_collect_level == NULL)
        TEST_FAIL("the library is not loaded");
    root = malloc(sizeof(*root));
    void **last = *root = gc_malloc(64, 0);
    for (int i = 1; i < N; i++)
        last = *last = gc_malloc(64, 0);
    last = NULL;
    gc_collect_level(1);
    for (int i = 0; i < 4 * N; i++)
        memset(gc_malloc(64, 0), 0xee, 64);
    int n = 0;
    for (void **p = *root; p != NULL && n <= N; p = *p)
        n++;
    TEST_CHECK(n == N);
}

/* A name that the program does not define gives what it would give without the library. */
static void check_other_names(void)
{
    void *p = NULL;
    TEST_CHECK(posix_memalign(&p, 64, 100) == 0 && gc_find_object(p, NULL) == NULL);
    p = valloc(100);
    TEST_CHECK(p != NULL && gc_find_object(p, NULL) == NULL);
    p = strcpy(malloc(20), "kept"); /* libc's reallocarray calls the program's realloc */
    p = reallocarray(p, 100, 30);
    TEST_CHECK(p >= (void *)pool && p < (void *)(pool + POOL_BYTES) && strcmp(p, "kept") == 0);
    free(p);
}

__attribute__((constructor)) static void note_use(void)
{
    used_before_main = used;
}

int main(void)
{
    if (used_before_main != 0)
        TEST_FAIL("%zu bytes were asked for before main", used_before_main);
    pthread_t id;
    for (int i = 0; i < 1000; i++) {
        char *text = strdup("some text");
        text = realloc(text, 100);
        TEST_CHECK(strcmp(text, "some text") == 0);
        free(text);
    }
    FILE *f = tmpfile();
    TEST_CHECK(f != NULL && fputs("a line\n", f) >= 0 && fclose(f) == 0);
    TEST_CHECK(pthread_create(&id, NULL, body, NULL) == 0 && pthread_join(id, NULL) == 0);
    check_gc_blocks();
    check_other_names();
    TEST_CHECK(n_frees >= 1001);
    return 0;
}
