/* Processes end in every way while other threads allocate and collect: exit with handlers that allocate and collect,
 * quick_exit, _exit, pthread_exit of the last thread, a signal. */
#include <signal.h>
#include <sys/wait.h>
#include "trap.h"
static void *kept;

static void at_exit(void)
{
    if (!test_is_filled(kept, TRAP_SIZE, 1))
        _exit(9);
    for (int i = 0; i < 1000; i++)
        free(malloc((size_t)i));
    trap_gc(TRAP_GC_FULL);
    if (!test_is_filled(kept, TRAP_SIZE, 1))
        _exit(9);
}

static void *body(void *arg)
{
    for (;;) {
        void *p = malloc(100);
        if (arg != NULL)
            trap_gc(TRAP_GC_FULL);
        free(p);
    }
    return NULL;
}

static void end(int way)
{
    pthread_t id;
    kept = malloc(TRAP_SIZE);
    test_fill(kept, TRAP_SIZE, 1);
    atexit(at_exit);
    at_quick_exit(at_exit);
    if (way != 3)
        for (uintptr_t i = 0; i < 3; i++)
            if (pthread_create(&id, NULL, body, (void *)i) != 0)
                _exit(8);
    usleep(2000);
    switch (way) {
    case 0:
        exit(0);
    case 1:
        quick_exit(0);
    case 2:
        _exit(0);
    case 3:
        pthread_exit(NULL);
    default:
        raise(SIGKILL);
    }
}

int main(void)
{
    for (int i = 0; i < 15; i++) {
        pid_t child = fork();
        TEST_CHECK(child >= 0);
        if (child == 0)
            end(i % 5);
        int status = 0;
        TEST_CHECK(waitpid(child, &status, 0) == child);
        if (status != (i % 5 == 4 ? SIGKILL : 0))
            TEST_FAIL("way %d: status 0x%x", i % 5, (unsigned)status);
    }
    return 0;
}
