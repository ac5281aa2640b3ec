/* A process that has used up its descriptors skips its collections, and collects again once one is free; so does one without
 * room for a queued signal, where a thread has to be stopped. */
#include <fcntl.h>
#include <sys/resource.h>
#include "trap.h"

static void *body(void *arg)
{
    struct trap_thread *t = arg;
    void *volatile block = trap_reveal(t->hidden);
    atomic_store(&t->ready, 1);
    while (!atomic_load(&t->release))
        syscall(SYS_sched_yield);
    TEST_CHECK(~(uintptr_t)block == t->hidden);
    return NULL;
}

static void limit(int resource, unsigned long value)
{
    struct rlimit r;
    TEST_CHECK(getrlimit((__rlimit_resource_t)resource, &r) == 0);
    r.rlim_cur = value < r.rlim_max ? value : r.rlim_max;
    TEST_CHECK(setrlimit((__rlimit_resource_t)resource, &r) == 0);
}

int main(void)
{
    struct trap_thread t = {.hidden = trap_new()};
    trap_thread_start(&t, body);
    limit(RLIMIT_SIGPENDING, 0);
    trap_make_garbage(TRAP_SIZE);
    TEST_CHECK(trap_is_peer() || trap_gc(TRAP_GC_FULL) == ECANCELED);
    trap_overwrite(TRAP_SIZE);
    trap_check_targets();
    limit(RLIMIT_SIGPENDING, RLIM_INFINITY);
    trap_verify();
    limit(RLIMIT_NOFILE, 64);
    int last = -1, fd;
    while ((fd = open("/dev/null", O_RDONLY)) >= 0)
        last = fd;
    TEST_CHECK(errno == EMFILE && last >= 0);
    trap_make_garbage(TRAP_SIZE);
    TEST_CHECK(trap_is_peer() || trap_gc(TRAP_GC_FULL) == ECANCELED);
    trap_overwrite(TRAP_SIZE);
    trap_check_targets();
    for (fd = 40; fd < 64; fd++)
        close(fd);
    trap_verify();
    trap_thread_end(&t);
    return 0;
}
