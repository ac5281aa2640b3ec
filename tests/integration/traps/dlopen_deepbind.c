/* A plugin loaded with RTLD_DEEPBIND would find libc's malloc before ours: what it duplicates we free, and
 * the reverse. */
#include <dlfcn.h>
#include "trap.h"
int main(int argc, char **argv)
{
    TEST_CHECK(argc == 2);
    void *module = dlopen(argv[1], RTLD_NOW | RTLD_DEEPBIND);
    if (module == NULL)
        TEST_FAIL("dlopen: %s", dlerror());
    char *(*duplicate)(const char *) = (char *(*)(const char *))dlsym(module, "module_duplicate");
    void (*module_free)(void *) = (void (*)(void *))dlsym(module, "module_free");
    void (*store_data)(void *, void *) = (void (*)(void *, void *))dlsym(module, "module_store_data");
    TEST_CHECK(duplicate != NULL && module_free != NULL && store_data != NULL);
    for (int i = 0; i < 1000; i++) {
        char *text = duplicate("text of a plugin");
        TEST_CHECK(strcmp(text, "text of a plugin") == 0);
        text = realloc(text, 1000);
        free(text);
        module_free(malloc(100 + (size_t)i));
        module_free(strdup("text of ours"));
    }
    store_data(trap_reveal(trap_new()), trap_reveal(trap_new()));
    trap_clear_stack();
    trap_verify();
    return 0;
}
