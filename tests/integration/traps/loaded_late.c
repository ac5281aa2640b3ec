/* The library itself, opened by a program that did not start with it: malloc stays libc's, its calls say so or do
 * nothing, and it may be closed again, by one thread while another that used it has yet to end. Runs without preload. usage: loaded_late LIBRARY */
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/wait.h>
#include "test_util.h"
static void *(*late_gc_malloc)(size_t, unsigned);
static sem_t was_used, may_end;

static void *body(void *arg)
{
    void *block = late_gc_malloc(100, 0);
    if (block != NULL)
        memset(block, 1, 100);
    sem_post(&was_used);
    sem_wait(&may_end);
    return arg;
}

int main(int argc, char **argv)
{
    TEST_CHECK(argc == 2);
    char *before = strdup("made before");
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        TEST_FAIL("dlopen: %s", dlerror());
    late_gc_malloc = (void *(*)(size_t, unsigned))dlsym(library, "gc_malloc");
    int (*late_collect)(int) = (int (*)(int))dlsym(library, "gc_collect_level");
    TEST_CHECK(late_gc_malloc != NULL && late_collect != NULL);
    char *after = strdup("made after");
    void *block = late_gc_malloc(100, 0);
    if (block != NULL)
        memset(block, 1, 100);
    late_collect(1);
    for (int i = 0; i < 10000; i++)
        free(malloc((size_t)i));
    TEST_CHECK(strcmp(before, "made before") == 0 && strcmp(after, "made after") == 0);
    free(before);
    free(after);
    pthread_t thread;
    TEST_CHECK(pthread_create(&thread, NULL, body, NULL) == 0 && sem_wait(&was_used) == 0);
    TEST_CHECK(dlclose(library) == 0);
    sem_post(&may_end);
    TEST_CHECK(pthread_join(thread, NULL) == 0);
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    int status = 0;
    TEST_CHECK(waitpid(child, &status, 0) == child && status == 0);
    free(strdup("made at last"));
    return 0;
}
