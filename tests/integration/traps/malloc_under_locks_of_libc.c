/* While one thread holds a lock of libc or of the dynamic linker, another allocates for the first time, allocates until
 * collections are due, collects, frees, and ends: none of it may want that lock. The locks: the linker's for loading (held in
 * a constructor of a library), its list of libraries (in a callback of dl_iterate_phdr), a stream's, the list of
 * streams, and the order of exit handlers. The holder waits for the other thread. */
#include <dlfcn.h>
#include <link.h>
#include "trap.h"
enum { N_BLOCKS = 40000, PATIENCE_S = 60 };
void _IO_list_lock(void) __attribute__((weak));
void _IO_list_unlock(void) __attribute__((weak));
void trap_during_load(void); /* trap_module_constructor.c calls it */
static const char *held;

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    for (int i = 0; i < N_BLOCKS; i++) {
        void *p = malloc(64 + (size_t)i % 900);
        memset(p, 0xee, 64);
        if (i % 3 == 0)
            free(p);
    }
    free(realloc(malloc(100000), 400000));
    TEST_CHECK(trap_collect());
    atomic_store(&t->ready, 1);
    return NULL;
}

/* Joins by looking, so that a thread that does not end is told. */
static void other_thread_works(const char *lock)
{
    struct trap_thread t = {0};
    held = lock;
    TEST_CHECK(pthread_create(&t.id, NULL, body, &t) == 0);
    for (int i = 0; i < PATIENCE_S * 1000 && !atomic_load(&t.ready); i++)
        syscall(SYS_nanosleep, &(struct timespec){.tv_nsec = 1000000}, NULL);
    if (!atomic_load(&t.ready))
        TEST_FAIL("a thread that allocates and collects waits for %s", held);
    TEST_CHECK(pthread_join(t.id, NULL) == 0);
}

void trap_during_load(void)
{
    other_thread_works("the linker's lock for loading");
}

static int in_callback(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)info, (void)size, (void)arg;
    other_thread_works("the linker's list of libraries");
    return 1;
}

int main(int argc, char **argv)
{
    TEST_CHECK(argc == 2);
    other_thread_works("nothing");
    dl_iterate_phdr(in_callback, NULL);
    flockfile(stdout);
    flockfile(stderr);
    other_thread_works("a stream's lock");
    funlockfile(stderr);
    funlockfile(stdout);
    if (_IO_list_lock != NULL && _IO_list_unlock != NULL) {
        _IO_list_lock();
        other_thread_works("the lock of the list of streams");
        _IO_list_unlock();
    }
    void *module = dlopen(argv[1], RTLD_NOW);
    if (module == NULL)
        TEST_FAIL("dlopen: %s", dlerror());
    TEST_CHECK(strcmp(held, "the linker's lock for loading") == 0);
    return 0;
}
