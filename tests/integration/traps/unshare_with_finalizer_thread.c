/* unshare(CLONE_NEWUSER) is refused to a process of several threads: the thread that runs finalizers must be gone before,
 * also where a finalizer runs just then, and must come back for the next one, inside the new namespace. */
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include "trap.h"
typedef void (*finalizer)(void *obj, void *arg);
int gc_set_finalizer(void *obj, finalizer fn, void *arg) __attribute__((weak));
enum { N_ROUNDS = 3, N_DUE = 4 };
static _Atomic int n_begun, n_run;
static _Atomic pid_t tid;
static char seen[64];

static bool is_permitted(void)
{
    pid_t pid = (pid_t)syscall(SYS_clone, (long)SIGCHLD, NULL, NULL, NULL, 0L);
    int status = 0;
    if (pid == 0)
        _exit(syscall(SYS_unshare, CLONE_NEWUSER) == 0 ? 0 : 1);
    TEST_CHECK(waitpid(pid, &status, 0) == pid);
    return status == 0;
}

static void finalize(void *obj, void *arg)
{
    (void)obj, (void)arg;
    atomic_fetch_add(&n_begun, 1);
    usleep(20000);
    ssize_t n = readlink("/proc/thread-self/ns/user", seen, sizeof(seen) - 1);
    seen[n > 0 ? n : 0] = 0;
    atomic_store(&tid, (pid_t)syscall(SYS_gettid));
    atomic_fetch_add(&n_run, 1);
}

static __attribute__((noinline)) void make_due(void)
{
    for (int i = 0; i < N_DUE; i++)
        TEST_CHECK(gc_set_finalizer(malloc(TRAP_SIZE), finalize, NULL) == 0);
}

/* One finalizer runs, and others may wait. */
static void collect_until_one_runs(void)
{
    int before = atomic_load(&n_begun);
    make_due();
    while (atomic_load(&n_begun) == before) {
        TEST_CHECK(trap_collect());
        usleep(1000);
    }
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    TEST_CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

/* Who is nobody inside may not make another. */
static void become_root_inside(unsigned uid, unsigned gid)
{
    char text[64];
    snprintf(text, sizeof(text), "0 %u 1", uid);
    put("/proc/self/uid_map", text);
    put("/proc/self/setgroups", "deny");
    snprintf(text, sizeof(text), "0 %u 1", gid);
    put("/proc/self/gid_map", text);
}

int main(void)
{
    if (gc_set_finalizer == NULL)
        TEST_SKIP("a function of ours");
    if (!is_permitted())
        TEST_SKIP("user namespaces are not permitted");
    for (int i = 0; i < N_ROUNDS; i++) {
        unsigned uid = geteuid(), gid = getegid();
        collect_until_one_runs();
        if (unshare(CLONE_NEWUSER) != 0)
            TEST_FAIL("unshare: %s", strerror(errno));
        become_root_inside(uid, gid);
    }
    int before = atomic_load(&n_run);
    collect_until_one_runs();
    while (atomic_load(&n_run) == before)
        usleep(1000);
    char here[64] = "";
    TEST_CHECK(readlink("/proc/thread-self/ns/user", here, sizeof(here) - 1) > 0 && strcmp(here, seen) == 0);
    TEST_CHECK(atomic_load(&tid) != getpid());
    return 0;
}
