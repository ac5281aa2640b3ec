/* libc keeps the stacks of ended threads, and in them what it allocated for their thread-local data, and uses both
 * again: collections come while nothing but such a stack refers to it. */
#include <dlfcn.h>
#include "trap.h"
static void (*store_local)(void *);
static void *(*load_local)(void);

static void *body(void *arg)
{
    TEST_CHECK(load_local() == NULL);
    store_local(arg);
    TEST_CHECK(load_local() == arg);
    trap_clear_stack();
    return NULL;
}

static void run_threads(void)
{
    enum { N = 8 };
    pthread_t ids[N];
    for (int i = 0; i < N; i++)
        TEST_CHECK(pthread_create(&ids[i], NULL, body, (void *)(uintptr_t)(i + 1)) == 0);
    for (int i = 0; i < N; i++)
        TEST_CHECK(pthread_join(ids[i], NULL) == 0);
}

int main(int argc, char **argv)
{
    TEST_CHECK(argc == 2);
    void *module = dlopen(argv[1], RTLD_NOW);
    TEST_CHECK(module != NULL);
    store_local = (void (*)(void *))dlsym(module, "module_store_local");
    load_local = (void *(*)(void))dlsym(module, "module_load_local");
    for (int round = 0; round < 40; round++) {
        run_threads();
        trap_round(64 + 48 * (size_t)(round % 12), false);
    }
    return 0;
}
