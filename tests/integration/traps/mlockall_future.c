/* mlockall(MCL_CURRENT | MCL_FUTURE): nothing large that is unused may be locked in, freed pages must read as zero, and where
 * the kernel takes back pages that are locked they go. */
#include <malloc.h>
#include <sys/mman.h>
#include "trap.h"
enum { PEAK_BLOCKS = 60000, PEAK_BLOCK = 2000, PEAK_KB = PEAK_BLOCKS / 1024 * PEAK_BLOCK };

/* Since Linux 5.18. */
static bool may_give_locked_pages_back(void)
{
    char *page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(page != MAP_FAILED);
    return madvise(page, (size_t)sysconf(_SC_PAGESIZE), 24 /* MADV_DONTNEED_LOCKED */) == 0;
}

static void give_a_peak_back(void)
{
    static void *volatile blocks[PEAK_BLOCKS];
    for (int i = 0; i < PEAK_BLOCKS; i++)
        TEST_CHECK((blocks[i] = malloc(PEAK_BLOCK)) != NULL);
    long peak_kb = test_proc_status("VmRSS");
    for (int i = 0; i < PEAK_BLOCKS; i++)
        free(blocks[i]);
    malloc_trim(0);
    long left_kb = test_proc_status("VmRSS");
    if (may_give_locked_pages_back() && left_kb > peak_kb - PEAK_KB / 10 * 9)
        TEST_FAIL("of %ld kB %ld are left", peak_kb, left_kb);
}

int main(void)
{
    static void *volatile root;
    root = trap_reveal(trap_new());
    free(malloc(100));
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        TEST_SKIP("mlockall is not permitted: %s", strerror(errno));
    for (int round = 0; round < 3; round++) {
        for (size_t size = 64; size <= 4 << 20; size *= 2) {
            unsigned char *block = malloc(size);
            TEST_CHECK(block != NULL);
            memset(block, 0xff, size);
            free(block);
            malloc_trim(0); /* which the kernel refuses for locked pages, or has another word for */
            block = calloc(1, size);
            for (size_t i = 0; i < size; i += 61)
                TEST_CHECK(block[i] == 0);
            free(block);
        }
        trap_verify();
    }
    give_a_peak_back();
    TEST_CHECK(root != NULL);
    long locked_mb = test_proc_status("VmLck") / 1024;
    if (locked_mb > 400)
        TEST_FAIL("%ld MB are locked", locked_mb);
    return 0;
}
