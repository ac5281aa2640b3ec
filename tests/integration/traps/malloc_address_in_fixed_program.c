/* A program linked to a fixed address that takes the addresses of malloc and free is served by the library all the same,
 * though their names then lead to the program itself. */
#include <dlfcn.h>
#include <link.h>
#include "test_util.h"

typedef void *(*malloc_fn)(size_t);
typedef void (*free_fn)(void *);
typedef void *(*find_fn)(const void *, size_t *);

/* Its malloc is another's, whatever that one makes of ours. */
static int with_headers(void)
{
    volatile malloc_fn alloc = malloc;
    volatile free_fn release = free;
    char *blocks[100];

    for (int i = 0; i < 100; i++) {
        blocks[i] = i % 2 == 0 ? alloc(64) : calloc(4, 16);
        TEST_CHECK(blocks[i] != NULL);
        memset(blocks[i], i, 64);
        blocks[i] = realloc(blocks[i], 200);
        TEST_CHECK(blocks[i] != NULL && blocks[i][63] == i);
    }
    for (int i = 0; i < 100; i++)
        release(blocks[i]);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "headers") == 0)
        return with_headers();
    volatile malloc_fn alloc = malloc;
    volatile free_fn release = free;
    __typeof__(&dl_iterate_phdr) volatile walk = dl_iterate_phdr; /* an entry of the program's, too: no sanitizer's */
    find_fn find = (find_fn)dlsym(RTLD_DEFAULT, "gc_find_object");
    void *p = alloc(64);

    TEST_CHECK(p != NULL && find != NULL && walk != NULL);
    TEST_CHECK(dlsym(RTLD_DEFAULT, "malloc") == (void *)alloc);
    if (find(p, NULL) != p)
        TEST_FAIL("malloc is not the library's");
    release(p);
    p = calloc(8, 8);
    TEST_CHECK(p != NULL && find(p, NULL) == p);
    release(p);
    return 0;
}
