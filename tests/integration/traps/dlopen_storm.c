/* Modules are loaded and unloaded by two threads while another collects; each load stores a block in the
 * module's data and in its thread-local data. */
#include <dlfcn.h>
#include "trap.h"
static const char *path;

static __attribute__((noinline)) void once(uint32_t seed)
{
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (module == NULL)
        TEST_FAIL("dlopen: %s", dlerror());
    void (*store_local)(void *) = (void (*)(void *))dlsym(module, "module_store_local");
    void *(*load_local)(void) = (void *(*)(void))dlsym(module, "module_load_local");
    char *(*duplicate)(const char *) = (char *(*)(const char *))dlsym(module, "module_duplicate");
    TEST_CHECK(store_local != NULL && load_local != NULL && duplicate != NULL);
    unsigned char *block = malloc(400);
    test_fill(block, 400, seed);
    store_local(block);
    block = NULL;
    usleep(300);
    if (!test_is_filled(load_local(), 400, seed))
        TEST_FAIL("a block in thread-local data was reclaimed");
    free(load_local());
    char *text = duplicate("some text");
    TEST_CHECK(strcmp(text, "some text") == 0);
    free(text);
    dlerror();
    TEST_CHECK(dlsym(module, "no_such_name") == NULL && dlerror() != NULL);
    TEST_CHECK(dlclose(module) == 0);
}

static void *body(void *arg)
{
    for (uint32_t i = 0; i < 300; i++)
        once((uint32_t)(uintptr_t)arg + i);
    return NULL;
}

int main(int argc, char **argv)
{
    TEST_CHECK(argc == 2);
    path = argv[1];
    pthread_t ids[2], collector = trap_collector_start();
    for (uintptr_t i = 0; i < 2; i++)
        TEST_CHECK(pthread_create(&ids[i], NULL, body, (void *)(i * 1000)) == 0);
    for (int i = 0; i < 2; i++)
        pthread_join(ids[i], NULL);
    trap_collector_end(collector);
    return 0;
}
