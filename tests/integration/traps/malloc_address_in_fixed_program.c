/* A program linked to a fixed address that takes the addresses of malloc and free is served by the library all the same,
 * though their names then lead to the program itself. */
#include <dlfcn.h>
#include "test_util.h"

typedef void *(*malloc_fn)(size_t);
typedef void (*free_fn)(void *);
typedef void *(*find_fn)(const void *, size_t *);

int main(void)
{
    volatile malloc_fn alloc = malloc;
    volatile free_fn release = free;
    find_fn find = (find_fn)dlsym(RTLD_DEFAULT, "gc_find_object");
    void *p = alloc(64);

    TEST_CHECK(p != NULL && find != NULL);
    TEST_CHECK(dlsym(RTLD_DEFAULT, "malloc") == (void *)alloc);
    if (find(p, NULL) != p)
        TEST_FAIL("malloc is not the library's");
    release(p);
    p = calloc(8, 8);
    TEST_CHECK(p != NULL && find(p, NULL) == p);
    release(p);
    return 0;
}
