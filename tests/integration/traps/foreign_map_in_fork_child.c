/* What the program has mapped in the middle of our window, as runtimes that choose their addresses at random do (Chromium's
 * allocator), is there in the child of a fork. The child gave all that we had not mapped there back to the kernel. */
#include <sys/mman.h>
#include <sys/wait.h>
#include "trap.h"

enum { PAGE_BYTES = 4096, N_PAGES = 12 };
#define GiB (UINT64_C(1) << 30)

int main(void)
{
    uintptr_t arena = (uintptr_t)malloc(TRAP_SIZE);
    char *pages[N_PAGES];
    for (uint64_t i = 0; i < N_PAGES; i++) {
        uintptr_t at = ((arena - (i * 80 + 60) * GiB) & ~(uintptr_t)(PAGE_BYTES - 1));
        pages[i] = mmap((void *)at, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
                        -1, 0);
        TEST_CHECK(pages[i] == (char *)at);
        *(uintptr_t **)pages[i] = trap_reveal(trap_new());
    }
    for (int round = 0; round < 3; round++) {
        int status = 0;
        pid_t child = fork();
        TEST_CHECK(child >= 0);
        if (child == 0) {
            trap_verify();
            for (uint64_t i = 0; i < N_PAGES; i++)
                pages[i][PAGE_BYTES - 1] = 1;
            _exit(0);
        }
        TEST_CHECK(waitpid(child, &status, 0) == child);
        if (status != 0)
            TEST_FAIL("the child ended with %#x", (unsigned)status);
    }
    trap_verify();
    return 0;
}
