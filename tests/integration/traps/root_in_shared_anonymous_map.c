/* Shared anonymous memory, where the page tables prove nothing: after MADV_DONTNEED, and in a fork child. */
#include <sys/mman.h>
#include <sys/wait.h>
#include "trap.h"
static uintptr_t *volatile map;

static __attribute__((noinline)) void store(int at)
{
    map[at] = (uintptr_t)trap_reveal(trap_new());
}

int main(void)
{
    map = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(map != MAP_FAILED);
    store(100);
    store(100000);
    trap_clear_stack();
    trap_verify();
    TEST_CHECK(madvise((void *)map, 1 << 20, MADV_DONTNEED) == 0); /* content stays: it is the file's */
    trap_verify();
    pid_t child = fork();
    if (child == 0) {
        trap_verify();
        _exit(0);
    }
    int status = 0;
    TEST_CHECK(waitpid(child, &status, 0) == child && status == 0);
    return 0;
}
