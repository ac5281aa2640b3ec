/* Children of a process with threads collect at once; a child uses by pointer the locals of a thread that is
 * not there any more. */
#include <sys/wait.h>
#include "trap.h"
#define N_THREADS 4
struct server {
    void *block;
    uintptr_t hidden;
};
static struct server *volatile shared[N_THREADS]; /* points into stacks */
static struct trap_thread threads[N_THREADS];

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    struct server local = {.block = trap_reveal(t->hidden), .hidden = t->hidden};
    shared[t - threads] = &local;
    trap_clear_stack();
    atomic_store(&t->ready, 1);
    while (!atomic_load(&t->release))
        free(malloc(TRAP_SIZE / 2)); /* in the allocator when the fork comes */
    return NULL;
}

static void child(int n)
{
    for (int round = 0; round < 2; round++)
        trap_verify();
    for (int i = 0; i < N_THREADS; i++)
        TEST_CHECK(~(uintptr_t)shared[i]->block == shared[i]->hidden);
    _exit(n);
}

int main(void)
{
    for (int i = 0; i < N_THREADS; i++) {
        threads[i].hidden = trap_new();
        trap_thread_start(&threads[i], body);
    }
    trap_verify();
    for (int n = 0; n < 30; n++) {
        pid_t pid = fork();
        if (pid == 0)
            child(n);
        int status = 0;
        TEST_CHECK(waitpid(pid, &status, 0) == pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != n)
            TEST_FAIL("child %d: status 0x%x", n, (unsigned)status);
    }
    for (int i = 0; i < N_THREADS; i++)
        trap_thread_end(&threads[i]);
    return 0;
}
