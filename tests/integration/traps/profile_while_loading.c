/* Each allocation is recorded with its stack while threads load and unload a module, allocate inside dl_iterate_phdr with
 * ld.so's lock held, and fork with that lock held by another: walking a stack takes no lock and hangs nowhere. */
#include <dlfcn.h>
#include <link.h>
#include <sys/wait.h>
#include "trap.h"
enum { N_LOADS = 200, N_FORKS = 20 };
static const char *path;
static _Atomic int stop;

static int visit(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)info, (void)size, (void)data;
    void *volatile block = malloc(TRAP_SIZE);
    free(block);
    return 0;
}

static void *visit_all(void *arg)
{
    while (!atomic_load(&stop))
        dl_iterate_phdr(visit, arg);
    return NULL;
}

static void *load(void *arg)
{
    for (int i = 0; i < N_LOADS; i++) {
        void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        TEST_CHECK(module != NULL);
        char *(*duplicate)(const char *) = (char *(*)(const char *))dlsym(module, "module_duplicate");
        TEST_CHECK(duplicate != NULL);
        free(duplicate("some text"));
        dlclose(module);
    }
    return arg;
}

/* The thread that held the lock is not there any more. */
static void child(void)
{
    for (int i = 0; i < 2000; i++) {
        void *volatile block = malloc((size_t)(16 + i));
        free(block);
    }
    _exit(trap_collect() || trap_is_emulated() ? 7 : 1);
}

int main(int argc, char **argv)
{
    TEST_CHECK(argc == 2);
    path = argv[1];
    pthread_t ids[3], collector = trap_collector_start();
    for (int i = 0; i < 2; i++)
        TEST_CHECK(pthread_create(&ids[i], NULL, visit_all, NULL) == 0);
    TEST_CHECK(pthread_create(&ids[2], NULL, load, NULL) == 0);
    for (int i = 0; i < N_FORKS; i++) {
        int status = 0;
        pid_t pid = fork();
        if (pid == 0)
            child();
        TEST_CHECK(waitpid(pid, &status, 0) == pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 7)
            TEST_FAIL("child %d: status 0x%x", i, (unsigned)status);
    }
    pthread_join(ids[2], NULL);
    atomic_store(&stop, 1);
    pthread_join(ids[0], NULL);
    pthread_join(ids[1], NULL);
    trap_collector_end(collector);
    return 0;
}
