/* Small parts that share a block, freed by a handler that interrupted a slow path (installed by the system call itself): their neighbours
 * keep their bytes. */
#include <signal.h>
#include <sys/time.h>
#include "gcmalloc.h"
#include "raw_action.h"

#pragma weak gc_malloc

enum { N_PARTS = 64, PART_BYTES = 4, BYTES = 70000 };

static _Atomic int n_freed;
static void *parts[N_PARTS];

/* What is given to a handler that came in the middle of a slow path lies outside of the heap. */
static void handler(int sig)
{
    (void)sig;
    int saved_errno = errno;
    void *block = malloc(BYTES);
    bool is_inside = block != NULL && trap_find(block) == NULL;
    free(block);
    if (is_inside && atomic_load(&n_freed) < N_PARTS) {
        free(parts[atomic_load(&n_freed)]);
        atomic_fetch_add(&n_freed, 2);
    }
    errno = saved_errno;
}

int main(void)
{
    if (trap_is_peer())
        return 0;
    for (uint32_t i = 0; i < N_PARTS; i++) {
        parts[i] = gc_malloc(PART_BYTES, GC_NOSCAN);
        memset(parts[i], (int)i + 1, PART_BYTES);
    }
    struct raw_action raw = raw_action_of(handler);
    TEST_CHECK(syscall(SYS_rt_sigaction, SIGALRM, &raw, NULL, sizeof(raw.mask)) == 0);
    struct itimerval often = {.it_interval.tv_usec = 200, .it_value.tv_usec = 200}, never = {.it_value.tv_usec = 0};
    TEST_CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (long i = 0; atomic_load(&n_freed) < N_PARTS; i++)
        free(malloc(((size_t)1 << 20) + (size_t)(i % 64) * 4096));
    TEST_CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    free(malloc((size_t)1 << 20)); /* the end of a slow path, where what had to wait is done */
    for (uint32_t i = 1; i < N_PARTS; i += 2)
        for (int at = 0; at < PART_BYTES; at++)
            if (((unsigned char *)parts[i])[at] != i + 1)
                TEST_FAIL("part %u changed when another was freed", i);
    return 0;
}
