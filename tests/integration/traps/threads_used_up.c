/* Where the limit of processes lets no thread start, the helpers and the thread of finalizers do not: a collection is made by the
 * thread that is there, and finalizers wait to be run by request. Starts itself again, as another user, whom the limit binds. */
#include <grp.h>
#include <sys/resource.h>
#include "trap.h"

int gc_set_finalizer(void *block, void (*fn)(void *, void *), void *arg) __attribute__((weak));
size_t gc_run_finalizers(void) __attribute__((weak));

enum { NOBODY = 65534, N_LIVE = 60000, BLOCK_BYTES = 1000 };
static void *volatile live[N_LIVE];
static int n_finalized;

static void finalize(void *block, void *arg)
{
    (void)block, (void)arg;
    n_finalized++;
}

static void *nothing(void *arg)
{
    return arg;
}

static void become_limited(void)
{
    struct rlimit one = {1, 1};
    pthread_t id;
    if (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
        TEST_SKIP("cannot become another user");
    TEST_CHECK(setrlimit(RLIMIT_NPROC, &one) == 0);
    if (pthread_create(&id, NULL, nothing, NULL) != EAGAIN)
        TEST_SKIP("the limit of processes does not bind here");
}

static __attribute__((noinline)) void lose_one(void)
{
    void *block = malloc(TRAP_SIZE);
    TEST_CHECK(gc_set_finalizer(block, finalize, NULL) == 0);
}

static void check_finalizer(void)
{
    lose_one();
    for (int i = 0; i < 10 && n_finalized == 0; i++) {
        TEST_CHECK(trap_collect());
        gc_run_finalizers();
    }
    TEST_CHECK(n_finalized == 1);
}

int main(int argc, char **argv)
{
    static void *volatile root;
    (void)argv;
    if (argc == 1) {
        setenv("GCMALLOC", "markers=3", 1);
        execl("/proc/self/exe", "again", "limited", NULL);
        TEST_FAIL("exec");
    }
    become_limited();
    for (int i = 0; i < N_LIVE; i++) /* so many that helpers would pay */
        live[i] = malloc(BLOCK_BYTES);
    root = trap_reveal(trap_new());
    trap_verify();
    if (!trap_is_peer() && !trap_is_emulated())
        check_finalizer();
    TEST_CHECK(root != NULL && live[0] != NULL);
    return 0;
}
