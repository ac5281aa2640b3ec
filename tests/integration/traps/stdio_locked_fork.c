/* Two threads in getline, one in fflush(NULL), one forks in a loop: an allocator that holds its locks across
 * fork stands still here within a second. */
#include <sys/wait.h>
#include "trap.h"
static _Atomic int stop;

static void *reader(void *arg)
{
    while (!atomic_load(&stop)) {
        FILE *f = fopen("/proc/self/maps", "r");
        char *line = NULL;
        size_t capacity = 0;
        TEST_CHECK(f != NULL);
        while (getline(&line, &capacity, f) > 0) {
            free(line);
            line = NULL;
            capacity = 0;
        }
        free(line);
        fclose(f);
    }
    return arg;
}

static void *flusher(void *arg)
{
    while (!atomic_load(&stop))
        fflush(NULL);
    return arg;
}

static uint64_t seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec;
}

int main(void)
{
    pthread_t ids[3];
    uint64_t until = seconds() + test_env_number("GCM_SECONDS", 30);
    pthread_create(&ids[0], NULL, reader, NULL);
    pthread_create(&ids[1], NULL, reader, NULL);
    pthread_create(&ids[2], NULL, flusher, NULL);
    unsigned n_forks = 0;
    while (seconds() < until) {
        pid_t pid = fork();
        TEST_CHECK(pid >= 0);
        if (pid == 0) {
            alarm(30); /* a child that stands still dies of it */
            trap_gc(TRAP_GC_FULL);
            free(malloc(1000));
            _exit(0);
        }
        int status = 0;
        TEST_CHECK(waitpid(pid, &status, 0) == pid);
        if (status != 0)
            TEST_FAIL("child %u: status 0x%x", n_forks, (unsigned)status);
        n_forks++;
        if (n_forks % 10 == 0)
            trap_gc(TRAP_GC_FULL);
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < 3; i++)
        pthread_join(ids[i], NULL);
    if (n_forks < 20)
        TEST_FAIL("only %u forks", n_forks);
    return 0;
}
