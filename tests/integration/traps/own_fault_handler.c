/* A program that catches SIGSEGV and SIGBUS to see its own writes, as other collectors and databases do, on pages of its
 * maps and of its blocks, while other threads collect: each of its faults reaches it, and no fault of ours does. */
#include <signal.h>
#include <sys/mman.h>
#include "trap.h"
enum { PAGE = 4096, N_PAGES = 64, N_ROUNDS = 60 };
static char *areas[2];
static _Atomic unsigned n_faults;

static void handler(int signo, siginfo_t *info, void *context)
{
    (void)signo, (void)context;
    char *at = info->si_addr;
    for (int i = 0; i < 2; i++) {
        if (at < areas[i] || at >= areas[i] + N_PAGES * PAGE)
            continue;
        atomic_fetch_add(&n_faults, 1);
        mprotect((void *)((uintptr_t)at & ~(uintptr_t)(PAGE - 1)), PAGE, PROT_READ | PROT_WRITE);
        return;
    }
    TEST_FAIL("a fault at %p is not the program's", (void *)at);
}

static __attribute__((noinline)) void store(int i)
{
    for (int page = 0; page < N_PAGES; page++)
        *(void **)(areas[i] + page * PAGE + 64) = trap_reveal(trap_new());
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    TEST_CHECK(sigaction(SIGSEGV, &action, NULL) == 0 && sigaction(SIGBUS, &action, NULL) == 0);
    areas[0] = mmap(NULL, N_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    areas[1] = aligned_alloc(PAGE, N_PAGES * PAGE);
    TEST_CHECK(areas[0] != MAP_FAILED && areas[1] != NULL);
    store(0);
    store(1);
    trap_clear_stack();
    pthread_t collector = trap_collector_start();
    for (int round = 0; round < N_ROUNDS; round++) {
        for (int i = 0; i < 2; i++) {
            TEST_CHECK(mprotect(areas[i], N_PAGES * PAGE, round % 2 == 0 ? PROT_NONE : PROT_READ) == 0);
            for (int page = 0; page < N_PAGES; page++)
                ((volatile char *)areas[i])[page * PAGE] = (char)round;
        }
        usleep(1000);
    }
    trap_collector_end(collector);
    TEST_CHECK(atomic_load(&n_faults) == 2 * N_ROUNDS * N_PAGES);
    TEST_CHECK(mprotect(areas[0], N_PAGES * PAGE, PROT_NONE) == 0);
    trap_verify();
    return 0;
}
