/* Not a bench: prints the file that this process's malloc comes from. `run` asks it before it measures,
 * because ld.so goes on without a library that it cannot preload, and every figure would then be another
 * allocator's. */
#include <dlfcn.h>

#include "bench.h"

int main(void)
{
    Dl_info info;
    if (dladdr((void *)(uintptr_t)dlsym(RTLD_DEFAULT, "malloc"), &info) == 0)
        bench_die(BENCH_EXIT_USAGE, "malloc comes from nowhere");
    printf("checksum %s\n", info.dli_fname);
    return 0;
}
