/* setuid changes every thread of the process, the collector's own included: one that kept root's identity would be a hole.
 * Starts itself with helpers asked for. */
#include <dirent.h>
#include <sys/wait.h>
#include "trap.h"
typedef void (*finalizer)(void *obj, void *arg);
int gc_set_finalizer(void *obj, finalizer fn, void *arg) __attribute__((weak));
enum { N_NODES = 600000, NOBODY = 65534, N_TRIALS = 200 };
static _Atomic int n_run;

static void finalize(void *obj, void *arg)
{
    (void)obj, (void)arg;
    atomic_fetch_add(&n_run, 1);
}

static __attribute__((noinline)) void make_due(void)
{
    TEST_CHECK(gc_set_finalizer(malloc(TRAP_SIZE), finalize, NULL) == 0);
}

/* A list of many blocks, so that helpers pay, and whatever lets helpers start. */
static void use_helpers(void)
{
    static void **volatile list;
    for (int i = 0; i < N_NODES; i++) {
        void **node = malloc(64);
        node[0] = list;
        list = node;
    }
    make_due();
    for (int i = 0; i < N_TRIALS && atomic_load(&n_run) == 0; i++) {
        TEST_CHECK(trap_collect());
        usleep(1000);
    }
}

/* How many threads there are; each must have the identity on all four places. */
static int check_threads(unsigned uid)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/task");
    TEST_CHECK(dir != NULL);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        char path[300], line[256];
        unsigned id[4] = {0};
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/self/task/%s/status", e->d_name);
        FILE *f = fopen(path, "r");
        TEST_CHECK(f != NULL);
        while (fgets(line, sizeof(line), f) != NULL)
            if (sscanf(line, "Uid: %u %u %u %u", &id[0], &id[1], &id[2], &id[3]) == 4)
                break;
        fclose(f);
        for (int i = 0; i < 4; i++)
            if (id[i] != uid)
                TEST_FAIL("thread %s has user id %u", e->d_name, id[i]);
        n++;
    }
    closedir(dir);
    return n;
}

int main(int argc, char **argv)
{
    (void)argv;
    if (gc_set_finalizer == NULL)
        TEST_SKIP("threads of ours");
    if (getuid() != 0)
        TEST_SKIP("not root");
    if (argc == 1) {
        setenv("GCMALLOC", "markers=2", 1);
        execl("/proc/self/exe", "again", "helpers", NULL);
        TEST_FAIL("exec");
    }
    use_helpers();
    if (check_threads(0) < 2)
        TEST_FAIL("no thread of the library's is there");
    TEST_CHECK(setuid(NOBODY) == 0);
    TEST_CHECK(check_threads(NOBODY) >= 2);
    return 0;
}
