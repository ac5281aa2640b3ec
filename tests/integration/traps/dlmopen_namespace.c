/* A library in a namespace of its own has a libc and a malloc of its own: its data and its heap hold our pointers. */
#include <dlfcn.h>
#include "trap.h"

typedef void (*store_fn)(void *in_bss, void *in_data);
typedef void *(*load_fn)(int in_data);
typedef void **(*cell_fn)(void);

int main(int argc, char **argv)
{
    TEST_CHECK(argc == 2);
    void *module = dlmopen(LM_ID_NEWLM, argv[1], RTLD_NOW);
    if (module == NULL)
        TEST_SKIP("dlmopen: %s", dlerror());
    store_fn store = (store_fn)dlsym(module, "module_store_data");
    load_fn load = (load_fn)dlsym(module, "module_load_data");
    cell_fn new_cell = (cell_fn)dlsym(module, "module_new_cell");
    TEST_CHECK(store != NULL && load != NULL && new_cell != NULL);
    uintptr_t in_bss = trap_new(), in_data = trap_new(), in_heap = trap_new();
    store(trap_reveal(in_bss), trap_reveal(in_data));
    void **cell = new_cell();
    TEST_CHECK(cell != NULL);
    *cell = trap_reveal(in_heap);
    trap_clear_stack();
    trap_verify();
    TEST_CHECK(~(uintptr_t)load(0) == in_bss && ~(uintptr_t)load(1) == in_data && ~(uintptr_t)*cell == in_heap);
    return 0;
}
