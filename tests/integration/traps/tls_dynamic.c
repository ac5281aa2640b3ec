/* Thread-local variables of a module that is loaded after the threads were made: they lie in blocks that the
 * dynamic linker allocates, found only through each thread's vector of modules. Also the module's data and
 * bss. */
#include <dlfcn.h>
#include "trap.h"
#define N_THREADS 6
static struct trap_thread threads[N_THREADS];
static _Atomic int go;
static void (*store_local)(void *);
static void *(*load_local)(void);

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    atomic_store(&t->ready, 1);
    trap_wait(&go);
    store_local(trap_reveal(t->hidden));
    trap_clear_stack();
    atomic_store(&t->ready, 2);
    while (!atomic_load(&t->release))
        usleep(1000);
    TEST_CHECK(~(uintptr_t)load_local() == t->hidden);
    return NULL;
}

static void *load(void *module, const char *name)
{
    void *address = dlsym(module, name);
    if (address == NULL)
        TEST_FAIL("dlsym: %s", dlerror());
    return address;
}

static __attribute__((noinline)) void store_data(void *module, uintptr_t a, uintptr_t b)
{
    ((void (*)(void *, void *))load(module, "module_store_data"))(trap_reveal(a), trap_reveal(b));
}

int main(int argc, char **argv)
{
    TEST_CHECK(argc == 2);
    for (int i = 0; i < N_THREADS; i++) {
        threads[i].hidden = trap_new();
        trap_thread_start(&threads[i], body);
    }
    void *module = dlopen(argv[1], RTLD_NOW);
    if (module == NULL)
        TEST_FAIL("dlopen: %s", dlerror());
    store_local = (void (*)(void *))load(module, "module_store_local");
    load_local = (void *(*)(void))load(module, "module_load_local");
    store_data(module, trap_new(), trap_new());
    atomic_store(&go, 1);
    for (int i = 0; i < N_THREADS; i++)
        while (atomic_load(&threads[i].ready) != 2)
            sched_yield();
    trap_verify();
    for (int i = 0; i < N_THREADS; i++)
        trap_thread_end(&threads[i]);
    trap_check_targets();
    return 0;
}
