/* A small program for failure injection: two threads keep tables of blocks, leak, collect and fork once. When
 * the library says that there is no memory it frees what it has and ends with status 5. Content is verified
 * all the time.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include "test_util.h"

int gc_collect_level(int level) __attribute__((weak));

enum { N_SLOTS = 200, N_STEPS = 4000, EXIT_NO_MEMORY = 5 };

static void out_of_memory(void)
{
    if (errno != ENOMEM)
        TEST_FAIL("malloc failed with errno %d", errno);
    _exit(EXIT_NO_MEMORY);
}

static void *work(void *arg)
{
    unsigned char *slots[N_SLOTS] = {0};
    size_t sizes[N_SLOTS] = {0};
    uint64_t random = (uintptr_t)arg;
    for (unsigned i = 0; i < N_STEPS; i++) {
        uint64_t r = test_random(&random);
        unsigned slot = (unsigned)(r % N_SLOTS);
        if (slots[slot] != NULL && !test_is_filled(slots[slot], sizes[slot], slot))
            TEST_FAIL("a block changed");
        size_t size = (r >> 20) % ((r >> 10) % 200 == 0 ? 2000000 : 2000) + 1;
        if (r & 1 << 9) {
            free(slots[slot]);
            slots[slot] = NULL;
        }
        errno = 0;
        unsigned char *p = (r & 1 << 8) && slots[slot] != NULL ? realloc(slots[slot], size) : malloc(size);
        if (p == NULL)
            out_of_memory();
        slots[slot] = p;
        sizes[slot] = size;
        test_fill(p, size, slot);
        if (i % 1000 == 500 && gc_collect_level != NULL)
            gc_collect_level((int)(r >> 16) % 3);
    }
    for (unsigned i = 0; i < N_SLOTS; i++)
        if (slots[i] != NULL && !test_is_filled(slots[i], sizes[i], i))
            TEST_FAIL("a block changed");
    return NULL;
}

int main(void)
{
    pthread_t id;
    int has_thread = pthread_create(&id, NULL, work, (void *)(uintptr_t)2) == 0;
    work((void *)(uintptr_t)1);
    if (has_thread)
        pthread_join(id, NULL);
    pid_t pid = fork();
    if (pid == 0) {
        work((void *)(uintptr_t)3);
        _exit(0);
    }
    int status = 0;
    if (pid > 0 && waitpid(pid, &status, 0) != pid)
        TEST_FAIL("waitpid");
    if (WIFSIGNALED(status))
        TEST_FAIL("fork child died of signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}
