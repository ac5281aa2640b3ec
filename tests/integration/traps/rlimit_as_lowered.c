/* A program lowers its own limit of address space; afterwards it, its threads and the allocator go on, up to
 * the limit. */
#include <sys/mman.h>
#include <sys/resource.h>
#include "trap.h"
static void *body(void *arg)
{
    memset(malloc(5000), 1, 5000);
    return arg;
}

int main(void)
{
    struct rlimit limit = {.rlim_cur = 2ul << 30, .rlim_max = 2ul << 30};
    static void *volatile root;
    root = trap_reveal(trap_new());
    TEST_CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    pthread_t id;
    TEST_CHECK(pthread_create(&id, NULL, body, NULL) == 0 && pthread_join(id, NULL) == 0);
    void *map = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(map != MAP_FAILED);
    static void *blocks[4096];
    int n = 0;
    while (n < 4096 && (blocks[n] = malloc(1 << 20)) != NULL)
        n++;
    if (n < 1000 || n > 2048)
        TEST_FAIL("%d MB could be allocated under a limit of 2048", n);
    TEST_CHECK(errno == ENOMEM);
    while (n > 0)
        free(blocks[--n]);
    trap_verify();
    TEST_CHECK(root != NULL);
    return 0;
}
