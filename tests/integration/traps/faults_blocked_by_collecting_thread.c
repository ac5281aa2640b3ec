/* The collecting thread has blocked SIGSEGV and SIGBUS; pages of a large block have no permissions, so marking it faults. A
 * fault with its signal blocked would end the process. The mask is the program's again afterwards. */
#include <signal.h>
#include <sys/mman.h>
#include "trap.h"
enum { BYTES = 1 << 20, PAGE = 4096 };
static uintptr_t *volatile block;

static __attribute__((noinline)) void store(size_t page)
{
    block[page * (PAGE / sizeof(uintptr_t)) + 9] = (uintptr_t)trap_reveal(trap_new());
}

int main(void)
{
    sigset_t set, now;
    block = aligned_alloc(PAGE, BYTES);
    memset((void *)block, 0, BYTES);
    store(10);
    store(255);
    TEST_CHECK(mprotect((char *)block + 10 * PAGE, 5 * PAGE, PROT_NONE) == 0);
    trap_clear_stack();
    sigemptyset(&set);
    sigaddset(&set, SIGSEGV);
    sigaddset(&set, SIGBUS);
    TEST_CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    for (int i = 0; i < 3; i++)
        trap_verify_kept();
    TEST_CHECK(pthread_sigmask(SIG_BLOCK, NULL, &now) == 0);
    TEST_CHECK(sigismember(&now, SIGSEGV) == 1 && sigismember(&now, SIGBUS) == 1);
    TEST_CHECK(mprotect((void *)block, BYTES, PROT_READ | PROT_WRITE) == 0);
    trap_verify();
    return 0;
}
