/* Starts itself again under each limit, as `ulimit -v 300000` and the like do, leaks 600 MB there and must
 * end well. */
#include <sys/resource.h>
#include <sys/wait.h>
#include "trap.h"

static int leak(void)
{
    static void *live[1000];
    for (unsigned i = 0; i < 600000; i++) {
        uint32_t *block = malloc(1000);
        if (block == NULL)
            TEST_FAIL("no memory after %u kB", i);
        test_fill(block, 1000, i);
        live[i % 1000] = block;
        if (i >= 1000 && i % 1000 == 999)
            for (unsigned k = 0; k < 1000; k++)
                TEST_CHECK(test_is_filled(live[k], 1000, i - 999 + k));
    }
    return 0;
}

static void under(const char *self, int resource, unsigned long value)
{
    pid_t child = fork();
    if (child == 0) {
        struct rlimit limit = {.rlim_cur = value, .rlim_max = value};
        if (setrlimit((__rlimit_resource_t)resource, &limit) != 0)
            TEST_FAIL("setrlimit");
        execl(self, self, "leak", NULL);
        _exit(127);
    }
    int status = 0;
    TEST_CHECK(waitpid(child, &status, 0) == child);
    if (status != 0)
        TEST_FAIL("resource %d, limit %lu: status 0x%x", resource, value, (unsigned)status);
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return leak();
    under("/proc/self/exe", RLIMIT_AS, 300000ul << 10);
    under("/proc/self/exe", RLIMIT_AS, 1ul << 30);
    under("/proc/self/exe", RLIMIT_DATA, 300000ul << 10);
    under("/proc/self/exe", RLIMIT_MEMLOCK, 65536);
    under("/proc/self/exe", RLIMIT_SIGPENDING, 0);
    under("/proc/self/exe", RLIMIT_NOFILE, 8);
    under("/proc/self/exe", RLIMIT_STACK, 256 << 10);
    (void)argv;
    return 0;
}
