/* Under `ulimit -v 300000` nearly all of it can be allocated, in small blocks and in large ones, and then malloc says
 * ENOMEM; what is freed can be had again. */
#include <sys/resource.h>
#include <sys/wait.h>
#include "trap.h"

enum { LIMIT_KIB = 300000 };

struct chain {
    struct chain *next;
};

static size_t fill(size_t size, struct chain **all)
{
    size_t bytes = 0;
    errno = 0;
    for (struct chain *block; bytes < (size_t)LIMIT_KIB << 10 && (block = malloc(size)) != NULL; bytes += size) {
        memset(block, 1, size);
        block->next = *all;
        *all = block;
    }
    TEST_CHECK(errno == ENOMEM);
    return bytes;
}

static int use_up(size_t size, size_t wanted_kib)
{
    struct chain *all = NULL, *next;
    size_t first = fill(size, &all);
    if (first >> 10 < wanted_kib)
        TEST_FAIL("blocks of %zu: %zu KiB of %d", size, first >> 10, LIMIT_KIB);
    for (; all != NULL; all = next) {
        next = all->next;
        free(all);
    }
    size_t second = fill(size, &all);
    if (second < first - first / 16)
        TEST_FAIL("blocks of %zu: %zu KiB, once they were freed %zu", size, first >> 10, second >> 10);
    return 0;
}

static void set_limit(void)
{
    struct rlimit limit = {.rlim_cur = (rlim_t)LIMIT_KIB << 10, .rlim_max = (rlim_t)LIMIT_KIB << 10};
    if (setrlimit(RLIMIT_AS, &limit) != 0)
        TEST_FAIL("setrlimit");
}

/* The limit is there before the program, or "late": set by itself. */
static void under_limit(const char *size, const char *wanted_kib, const char *late)
{
    pid_t child = fork();
    if (child == 0) {
        if (late == NULL)
            set_limit();
        execl("/proc/self/exe", "rlimit_as_usable", size, wanted_kib, late, NULL);
        _exit(127);
    }
    int status = 0;
    TEST_CHECK(waitpid(child, &status, 0) == child);
    if (status != 0)
        TEST_FAIL("blocks of %s: status 0x%x", size, (unsigned)status);
}

int main(int argc, char **argv)
{
    if (argc >= 3) {
        free(malloc(1000000)); /* the heap is in use when the limit comes late */
        if (argc > 3)
            set_limit();
        return use_up(strtoul(argv[1], NULL, 10), strtoul(argv[2], NULL, 10));
    }
    under_limit("100", "240000", NULL); /* 112 bytes each */
    under_limit("1000", "260000", NULL);
    under_limit("33792", "240000", NULL); /* those that would take twice their size, had they slices of their own */
    under_limit("65536", "240000", NULL);
    under_limit("65536", "240000", "late");
    under_limit("66560", "240000", NULL);
    under_limit("102400", "240000", NULL);
    under_limit("131071", "250000", NULL);
    under_limit("131072", "245000", NULL); /* a byte more than two slices */
    under_limit("150000", "240000", NULL);
    under_limit("196608", "250000", NULL); /* and than three */
    under_limit("245759", "255000", NULL);
    under_limit("245760", "255000", NULL); /* the first that has slices of its own */
    under_limit("1000000", "250000", NULL); /* to whole 64 KiB */
    under_limit("16000000", "250000", NULL);
    return 0;
}
