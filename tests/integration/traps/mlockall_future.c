/* mlockall(MCL_CURRENT | MCL_FUTURE): nothing large that is unused may be locked in, and freed pages must
 * read as zero. */
#include <malloc.h>
#include <sys/mman.h>
#include "trap.h"
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
    TEST_CHECK(root != NULL);
    long locked_mb = test_proc_status("VmLck") / 1024;
    if (locked_mb > 400)
        TEST_FAIL("%ld MB are locked", locked_mb);
    return 0;
}
