/* The library itself, opened by a program that did not start with it: malloc stays libc's, its calls say so or do
 * nothing, and it may be closed again. Runs without preload. usage: loaded_late LIBRARY */
#include <dlfcn.h>
#include "test_util.h"
int main(int argc, char **argv)
{
    TEST_CHECK(argc == 2);
    char *before = strdup("made before");
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        TEST_FAIL("dlopen: %s", dlerror());
    void *(*late_gc_malloc)(size_t, unsigned) = (void *(*)(size_t, unsigned))dlsym(library, "gc_malloc");
    int (*late_collect)(int) = (int (*)(int))dlsym(library, "gc_collect_level");
    TEST_CHECK(late_gc_malloc != NULL && late_collect != NULL);
    char *after = strdup("made after");
    void *block = late_gc_malloc(100, 0);
    if (block != NULL)
        memset(block, 1, 100);
    late_collect(1);
    for (int i = 0; i < 10000; i++)
        free(malloc((size_t)i));
    TEST_CHECK(strcmp(before, "made before") == 0 && strcmp(after, "made after") == 0);
    free(before);
    free(after);
    TEST_CHECK(dlclose(library) == 0);
    free(strdup("made at last"));
    return 0;
}
