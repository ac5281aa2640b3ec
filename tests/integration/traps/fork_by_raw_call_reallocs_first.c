/* A child of a fork that bypasses libc's handlers, while other threads hold locks of the heap; the first that it wants is a realloc. */
#include <signal.h>
#include <sys/wait.h>
#include "trap.h"

enum { N_FORKS = 300, N_THREADS = 3, SECONDS = 20, BYTES = 300000, MORE = 3000000 };

static _Atomic int stop;

/* Large blocks: each takes slices, and gives them back, under a lock. */
static void *body(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        void *volatile block = malloc(BYTES);
        free(block);
    }
    return NULL;
}

static void child(unsigned char *block)
{
    alarm(SECONDS);
    unsigned char *larger = realloc(block, MORE);
    _exit(larger != NULL && test_is_filled(larger, BYTES, 3) ? 7 : 4);
}

int main(void)
{
    pthread_t ids[N_THREADS];
    unsigned char *block = malloc(BYTES);
    TEST_CHECK(block != NULL);
    test_fill(block, BYTES, 3);
    for (int i = 0; i < N_THREADS; i++)
        TEST_CHECK(pthread_create(&ids[i], NULL, body, NULL) == 0);
    for (int n = 0; n < N_FORKS; n++) {
        int status = 0;
        pid_t pid = (pid_t)syscall(SYS_clone, (long)SIGCHLD, NULL, NULL, NULL, 0L);
        TEST_CHECK(pid >= 0);
        if (pid == 0)
            child(block);
        TEST_CHECK(waitpid(pid, &status, 0) == pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 7)
            TEST_FAIL("child %d: status 0x%x", n, (unsigned)status);
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(ids[i], NULL);
    return 0;
}
