/* Linked with the library, malloc must be ours: the same object file holds it and gc_version. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <gcmalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *base_of(const void *code)
{
    Dl_info info;
    return dladdr(code, &info) ? info.dli_fbase : NULL;
}

/* Far more than the machine has, if nobody collected: 64 GiB in blocks that are dropped at once. */
static int leak_much(void)
{
    for (int i = 0; i < 64 * 1024; i++) {
        char *p = malloc(1 << 20);
        if (!p)
            return 0;
        memset(p, i, 4096);
        __asm__ volatile("" : : "r"(p) : "memory");
    }
    return 1;
}

int main(void)
{
    void *of_malloc = base_of(dlsym(RTLD_DEFAULT, "malloc"));
    void *of_version = base_of((const void *)(size_t)gc_version);
    int is_ours = of_malloc && of_malloc == of_version;
    char *obj = gc_malloc(100, 0);
    int is_zero = obj && obj[0] == 0 && obj[99] == 0;
    int leaked = leak_much();
    printf("version %s, malloc ours %d, gc_malloc zeroed %d, leaked %d\n", gc_version(), is_ours, is_zero,
           leaked);
    return is_ours && is_zero && leaked ? 0 : 1;
}
