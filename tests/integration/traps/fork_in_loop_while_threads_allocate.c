/* Several threads allocate, hand blocks to one another and collect while one forks: children allocate, free
 * what the parent allocated, start threads of their own, collect and end. */
#include <sys/wait.h>
#include "trap.h"
#define N_SLOTS 256
static _Atomic(unsigned char *) slots[N_SLOTS];
static _Atomic int stop;

static void exchange(uint64_t r)
{
    unsigned i = (unsigned)(r % N_SLOTS);
    size_t size = 64 + i * 8;
    unsigned char *mine = malloc(size);
    if (mine == NULL)
        TEST_FAIL("malloc");
    test_fill(mine, size, i);
    unsigned char *other = atomic_exchange(&slots[i], mine);
    if (other != NULL) {
        if (!test_is_filled(other, size, i))
            TEST_FAIL("a block changed");
        if (r & 1024)
            free(other);
    }
}

static void *body(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        exchange(test_random(&random));
        if (i % 20000 == 0)
            trap_gc(TRAP_GC_FULL);
    }
    return NULL;
}

static void *child_body(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    for (int i = 0; i < 2000; i++)
        exchange(test_random(&random));
    return NULL;
}

static void child(int n)
{
    uint64_t random = (uint64_t)n;
    for (int i = 0; i < 2000; i++)
        exchange(test_random(&random));
    pthread_t id;
    if (pthread_create(&id, NULL, child_body, (void *)(uintptr_t)(n + 77)) != 0)
        TEST_FAIL("pthread_create in a child");
    trap_gc(TRAP_GC_FULL);
    pthread_join(id, NULL);
    for (int i = 0; i < N_SLOTS; i++)
        free(atomic_exchange(&slots[i], NULL));
    _exit(7);
}

int main(void)
{
    pthread_t ids[3];
    for (uintptr_t i = 0; i < 3; i++)
        TEST_CHECK(pthread_create(&ids[i], NULL, body, (void *)(i + 1)) == 0);
    int n_forks = (int)test_env_number("GCM_FORKS", 150);
    for (int n = 0; n < n_forks; n++) {
        pid_t pid = fork();
        TEST_CHECK(pid >= 0);
        if (pid == 0)
            child(n);
        int status = 0;
        TEST_CHECK(waitpid(pid, &status, 0) == pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 7)
            TEST_FAIL("child %d: status 0x%x", n, (unsigned)status);
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < 3; i++)
        pthread_join(ids[i], NULL);
    return 0;
}
