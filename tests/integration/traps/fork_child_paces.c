/* A child whose parent has used much CPU time, and collected, collects its own garbage as it comes: its CPU clock begins
 * at 0, and the parent's instants must not be waited for. */
#include <sys/wait.h>
#include <time.h>
#include "gcmalloc.h"
#include "trap.h"
extern __typeof__(gc_get_stats) gc_get_stats __attribute__((weak));
#define PARENT_S 2
#define BLOCK_BYTES 100000
#define N_BLOCKS 4000 /* several times the heap at which an empty program first collects */

static uint64_t n_grown(void)
{
    struct gc_stats s = {0};
    TEST_CHECK(gc_get_stats(&s, sizeof(s)) == 0);
    return s.n_cycles_by_growth;
}

static void child(void)
{
    uint64_t before = n_grown();
    for (int i = 0; i < N_BLOCKS; i++) {
        volatile char *p = malloc(BLOCK_BYTES);
        TEST_CHECK(p != NULL);
        p[0] = 1;
    }
    TEST_CHECK(n_grown() > before);
    _exit(0);
}

int main(void)
{
    struct timespec ts;
    int status = 0;
    if (gc_get_stats == NULL)
        TEST_SKIP("only this library tells");
    do {
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    } while (ts.tv_sec < PARENT_S);
    TEST_CHECK(trap_collect());
    pid_t pid = fork();
    if (pid == 0)
        child();
    TEST_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    return 0;
}
