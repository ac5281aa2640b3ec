/* Blocks that libc's own malloc made, before us or beside us, go back to it; malloc_usable_size and realloc of them are
 * libc's, too. What they hold is seen. */
#include <dlfcn.h>
#include <malloc.h>
#include "trap.h"
int main(void)
{
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    TEST_CHECK(libc != NULL);
    void *(*libc_malloc)(size_t) = (void *(*)(size_t))dlsym(libc, "malloc");
    TEST_CHECK(libc_malloc != NULL && (trap_is_peer() || libc_malloc != malloc));
    for (size_t i = 0; i < 2000; i++) {
        char *p = libc_malloc(10 + i * 7);
        TEST_CHECK(p != NULL && malloc_usable_size(p) >= 10 + i * 7);
        TEST_CHECK(trap_is_peer() || trap_find(p) == NULL);
        memset(p, 'a', 10 + i * 7);
        if (i % 3 == 0) {
            p = realloc(p, 5000 + i);
            TEST_CHECK(p != NULL && p[9 + i % 7] == 'a');
        }
        free(p);
    }
    static void **cell;
    cell = libc_malloc(64);
    *cell = trap_reveal(trap_new());
    trap_clear_stack();
    trap_verify();
    free(cell);
    return 0;
}
