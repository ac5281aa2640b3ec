/* A handler that the program installed by the system call itself is not kept out of the allocator: it interrupts slow paths,
 * critical sections with locks among them, and allocates and frees there. It waits for no lock of its own thread. */
#include <malloc.h>
#include <signal.h>
#include <sys/time.h>
#include "raw_action.h"
enum { N_WANTED = 10, BYTES = 70000 };
static _Atomic int n_inside, n_handled;
static void *given[N_WANTED]; /* of main's, for the handler to free */

/* What is given to a handler that came in the middle of a slow path lies outside of the heap. */
static void handler(int signo)
{
    (void)signo;
    int saved_errno = errno;
    unsigned char *block = malloc(BYTES);
    if (block != NULL) {
        test_fill(block, BYTES, 5);
        if (trap_find(block) == NULL || trap_is_peer()) {
            int n = atomic_fetch_add(&n_inside, 1);
            if (n < N_WANTED)
                free(given[n]);
        }
        TEST_CHECK(test_is_filled(block, BYTES, 5));
        free(block);
    }
    atomic_fetch_add(&n_handled, 1);
    errno = saved_errno;
}

static void install(void)
{
    struct raw_action raw = raw_action_of(handler);
    TEST_CHECK(syscall(SYS_rt_sigaction, SIGALRM, &raw, NULL, sizeof(raw.mask)) == 0);
}

/* Large blocks only, here and in the handler: each call is a slow path. A fast one such a handler must not interrupt. */
int main(void)
{
    for (int i = 0; i < N_WANTED; i++)
        given[i] = malloc(BYTES);
    install();
    struct itimerval often = {.it_interval.tv_usec = 200, .it_value.tv_usec = 200}, never = {.it_value.tv_usec = 0};
    TEST_CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (long i = 0; atomic_load(&n_inside) < N_WANTED; i++) {
        unsigned char *block = malloc(((size_t)1 << 20) + (size_t)(i % 64) * 4096);
        TEST_CHECK(block != NULL);
        block[0] = 1;
        free(block);
    }
    TEST_CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    TEST_CHECK(atomic_load(&n_handled) >= N_WANTED);
    free(malloc((size_t)1 << 20)); /* the end of a slow path, where what had to wait is done */
    for (int i = 0; i < N_WANTED && !trap_is_peer(); i++)
        TEST_CHECK(trap_find(given[i]) == NULL);
    return 0;
}
