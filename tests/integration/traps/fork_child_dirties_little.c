/* A child of a large process that collects, and frees some of what it inherited, writes to none of the blocks: the parent's
 * memory stays shared. */
#include <malloc.h>
#include <sys/wait.h>
#include "trap.h"
enum { N_BLOCKS = 60000, BLOCK_BYTES = 1000, FREED_EACH = 10 }; /* 64 MB */
static void **volatile blocks;

/* Kilobytes of this process's own in its mappings, or -1. */
static long own_dirty_kb(void)
{
    static char text[4096];
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    long kb = -1;
    if (file == NULL)
        return -1;
    while (fgets(text, sizeof(text), file) != NULL)
        if (sscanf(text, "Private_Dirty: %ld kB", &kb) == 1)
            break;
    fclose(file);
    return kb;
}

static __attribute__((noinline)) void fill(void)
{
    blocks = malloc(N_BLOCKS * sizeof(void *));
    for (int i = 0; i < N_BLOCKS; i++) {
        blocks[i] = malloc(BLOCK_BYTES);
        memset(blocks[i], 1, BLOCK_BYTES);
    }
}

static void child(void)
{
    long before = own_dirty_kb();
    if (before < 0)
        _exit(TEST_EXIT_SKIPPED);
    for (int i = 1; i < N_BLOCKS; i += 2)
        blocks[i] = NULL; /* of one half each second block is garbage, of the other all are */
    for (int i = N_BLOCKS / 2; i < N_BLOCKS; i++)
        blocks[i] = NULL;
    for (int i = 0; i < 3; i++)
        TEST_CHECK(trap_collect() || trap_is_emulated());
    for (int i = 0; i < N_BLOCKS; i += FREED_EACH)
        free(blocks[i]);
    malloc_trim(0);
    long after = own_dirty_kb();
    const long all_kb = (long)N_BLOCKS * BLOCK_BYTES / 1024;
    if (after - before > all_kb / 8 && !trap_is_peer())
        TEST_FAIL("%ld of %ld kB became the child's own", after - before, all_kb);
    _exit(0);
}

int main(void)
{
    fill();
    TEST_CHECK(trap_collect() || trap_is_emulated());
    pid_t pid = fork();
    if (pid == 0)
        child();
    int status = 0;
    TEST_CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    if (WEXITSTATUS(status) == TEST_EXIT_SKIPPED)
        TEST_SKIP("no smaps_rollup");
    TEST_CHECK(WEXITSTATUS(status) == 0);
    return 0;
}
