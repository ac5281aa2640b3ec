/* While one thread collects, another makes descriptors its own that it never opened: it copies a file over each of the lowest numbers, and
 * closes them later. So do programs that leave nothing open or want a certain number. What a collection reads must not be the program's file,
 * and none of the program's may be closed. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "trap.h"

enum { FIRST = 3, END = 15, OWN = 100, N_COLLECTIONS = 2000, N_BORNE = N_COLLECTIONS / 100 };

static _Atomic int is_over, n_closed;

static void take_over(int own)
{
    for (int fd = FIRST; fd < END; fd++)
        while (dup2(own, fd) != fd)
            TEST_CHECK(errno == EBUSY); /* just being opened */
    sched_yield();
    for (int fd = FIRST; fd < END; fd++)
        n_closed += fcntl(fd, F_GETFD) < 0;
    for (int fd = FIRST; fd < END; fd++)
        close(fd);
}

/* Zeros say that no page is there, whatever place is asked for. */
static void *body(void *arg)
{
    int zero = open("/dev/zero", O_RDWR | O_CLOEXEC), own = fcntl(zero, F_DUPFD_CLOEXEC, OWN);
    TEST_CHECK(zero >= 0 && own >= OWN && close(zero) == 0);
    while (!atomic_load(&is_over))
        take_over(own);
    return arg;
}

static uintptr_t *volatile in_data;

int main(void)
{
    pthread_t thread;
    in_data = trap_reveal(trap_new());
    trap_gc(TRAP_GC_FULL); /* the first one does more */
    TEST_CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
    for (int i = 0; i < N_COLLECTIONS; i++) {
        trap_gc(TRAP_GC_FULL);
        trap_check_targets();
    }
    atomic_store(&is_over, 1);
    TEST_CHECK(pthread_join(thread, NULL) == 0);
    /* On a loaded machine a thread that is silent is looked up while it runs, by a file that is open for some microseconds. */
    if (n_closed > N_BORNE)
        TEST_FAIL("%d descriptors were closed by somebody else", n_closed);
    trap_verify();
    return 0;
}
