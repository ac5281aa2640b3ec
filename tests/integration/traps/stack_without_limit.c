/* Where the stack may grow without limit, the kernel places what is mapped from a sixth of the address space downwards instead of below the
 * stack: never where our heap is or grows to, so blocks that libc's own malloc mapped go back to it, and are roots. Each of so many starts has other
 * addresses. */
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include "trap.h"

enum { STARTS = 24, LIBC_BYTES = 1 << 20 };

static void *use(void *held)
{
    return *(void **)held;
}

static void check_here(void)
{
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    void *(*libc_malloc)(size_t) = (void *(*)(size_t))dlsym(libc, "malloc");
    static void **cell;
    void *result;
    pthread_t thread;
    cell = libc_malloc(LIBC_BYTES);
    *cell = trap_reveal(trap_new());
    TEST_CHECK(pthread_create(&thread, NULL, use, cell) == 0);
    TEST_CHECK(pthread_join(thread, &result) == 0);
    result = NULL;
    trap_clear_stack();
    trap_verify();
    free(cell);
}

int main(int argc, char **argv)
{
    char left[16];
    int n = argc == 2 ? atoi(argv[1]) : STARTS;
    struct rlimit limit;
    getrlimit(RLIMIT_STACK, &limit);
    if (limit.rlim_max != RLIM_INFINITY)
        TEST_SKIP("the stack has a hard limit");
    if (argc == 2)
        check_here();
    if (n == 0)
        return 0;
    limit.rlim_cur = RLIM_INFINITY;
    TEST_CHECK(setrlimit(RLIMIT_STACK, &limit) == 0);
    snprintf(left, sizeof(left), "%d", n - 1);
    execl("/proc/self/exe", argv[0], left, (char *)NULL);
    TEST_FAIL("exec: %s", strerror(errno));
}
