/* The thread's area for restartable sequences is libc's or the program's: with libc told to register none, the program can,
 * after collections as well, in its first thread and in others. Starts itself with that setting. */
#include "trap.h"
#ifdef SYS_rseq
enum { SIGNATURE = 0x53053053, AREA_BYTES = 32 };

static void check(void)
{
    static __thread _Alignas(AREA_BYTES) char area[AREA_BYTES];
    TEST_CHECK(trap_collect());
    long result = syscall(SYS_rseq, area, AREA_BYTES, 0, SIGNATURE);
    if (result != 0 && errno == ENOSYS)
        TEST_SKIP("no restartable sequences here");
    if (result != 0)
        TEST_FAIL("rseq: %s", strerror(errno));
    TEST_CHECK(trap_collect());
    TEST_CHECK(syscall(SYS_rseq, area, AREA_BYTES, 1, SIGNATURE) == 0);
}

static void *body(void *arg)
{
    check();
    return arg;
}

int main(int argc, char **argv)
{
    pthread_t id;
    (void)argv;
    if (argc == 1) {
        setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1);
        execl("/proc/self/exe", "again", "without", NULL);
        TEST_FAIL("exec");
    }
    check();
    TEST_CHECK(pthread_create(&id, NULL, body, NULL) == 0 && pthread_join(id, NULL) == 0);
    return 0;
}
#else
int main(void)
{
    TEST_SKIP("not on this machine");
}
#endif
