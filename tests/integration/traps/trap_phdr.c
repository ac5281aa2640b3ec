/* A library that takes dl_iterate_phdr and leaves malloc alone, as fakechroot's does. */
#include <dlfcn.h>
#include <link.h>
#include <stddef.h>

int dl_iterate_phdr(int (*each)(struct dl_phdr_info *, size_t, void *), void *arg)
{
    int (*real)(int (*)(struct dl_phdr_info *, size_t, void *), void *) =
        (int (*)(int (*)(struct dl_phdr_info *, size_t, void *), void *))dlsym(RTLD_NEXT, "dl_iterate_phdr");

    return real(each, arg);
}
