/* Errors that need a place of their own: no memory left, a finalizer that is about to run, files, and snapshots that meet. */
#include "interface.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void nothing(void *obj, void *arg)
{
    (void)obj;
    (void)arg;
}
static void nothing_more(void *arg)
{
    (void)arg;
}

/* ---- no memory ---- */

enum { N_BLOCKS = 400000 };
static void **blocks;
static void **links;

static int pin(size_t i)
{
    return gc_pin(blocks[i]);
}
static int finalize(size_t i)
{
    return gc_set_finalizer(blocks[i], nothing, NULL);
}
static int exchange(size_t i)
{
    const struct gc_finalizer set = {nothing, NULL, GC_ORDERED};
    return gc_exchange_finalizer(blocks[i], &set, NULL);
}
static int clean(size_t i)
{
    return gc_add_cleanup(blocks[i], nothing_more, NULL);
}
static int make_weak(size_t i)
{
    errno = 0;
    return gc_weak_new(blocks[i]) != NULL ? 0 : errno;
}
static int make_link(size_t i)
{
    return gc_weak_link(&links[i], blocks[i], 0);
}
static int add_range(size_t i)
{
    return gc_add_roots((char *)links + i * 8, 8);
}
static int exclude_range(size_t i)
{
    return gc_exclude_roots((char *)links + i * 8, 8);
}
static int make_type(size_t i)
{
    const uint64_t mask = 1;
    errno = 0;
    return gc_type_create(4096 + i * 8, &mask, 1) != NULL ? 0 : errno;
}
static int make_object(size_t i)
{
    errno = 0;
    return gc_malloc(1000 + i % 8, GC_ROOT) != NULL ? 0 : errno;
}

/* A little is left; then calls fail with ENOMEM and nothing else, leave nothing half done, and what was there works on. */
static NOINLINE void run_out(int (*call)(size_t i))
{
    struct rlimit limit = {0, 0};
    size_t i = 0;
    int error = 0;
    gc_inhibit();
    blocks = malloc(N_BLOCKS * sizeof(*blocks));
    links = gc_malloc(N_BLOCKS * sizeof(*links), GC_NOSCAN);
    for (size_t k = 0; k < N_BLOCKS; k++)
        blocks[k] = gc_malloc(16, GC_NOSCAN | GC_NOZERO | GC_ROOT);
    gc_uninhibit();
    limit.rlim_cur = limit.rlim_max = ((rlim_t)test_proc_status("VmSize") << 10) + (1 << 20);
    TEST_CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
    while (i < N_BLOCKS && (error = call(i)) == 0)
        i++;
    TEST_CHECK(error == ENOMEM);
    int again = call(i);
    if (again != ENOMEM && again != 0)
        TEST_FAIL("error %d, then %d, at block %zu", error, again, i);
    TEST_CHECK(gc_find_object(blocks[i], NULL) == blocks[i]);
    free(blocks[i]);
    gc_collect();
    _exit(7);
}

static void no_memory_is_told(void)
{
    int (*const calls[])(size_t i) = {pin,       finalize,  exchange,      clean,     make_weak,
                                      make_link, add_range, exclude_range, make_type, make_object};
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        pid_t pid = fork();
        if (pid == 0)
            run_out(calls[i]);
        int status = 0;
        TEST_CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 7)
            TEST_FAIL("call %zu ended with status %x", i, status);
    }
}

/* ---- about to run ---- */

static NOINLINE void lose_one(void)
{
    for (size_t i = 0; i < INTERFACE_N; i++) {
        void *p = gc_malloc(64, 0);
        interface_hide(i, p);
        TEST_CHECK(gc_set_finalizer(p, nothing, NULL) == 0);
    }
}

static void a_queued_finalizer_is_not_replaced(void)
{
    const struct gc_finalizer set = {nothing, NULL, GC_ORDERED};
    size_t n_queued = 0;
    gc_set_finalizer_thread(0);
    lose_one();
    interface_collect();
    for (size_t i = 0; i < INTERFACE_N; i++)
        n_queued += gc_exchange_finalizer((void *)~interface_hidden[i], &set, NULL) == EEXIST;
    TEST_CHECK(n_queued >= INTERFACE_NEARLY_ALL);
    gc_run_finalizers();
    gc_set_finalizer_thread(1);
}

/* ---- files ---- */

/* A pipe, a folder and a link stay what they are; so would /dev/null, which root could replace. */
static void snapshot_over_no_file(void)
{
    char folder[64], pipe_path[80], link_path[80];
    struct stat st;
    snprintf(folder, sizeof(folder), "/tmp/interface_errors.%d.folder", getpid());
    snprintf(pipe_path, sizeof(pipe_path), "%s/pipe", folder);
    snprintf(link_path, sizeof(link_path), "%s/link", folder);
    TEST_CHECK(mkdir(folder, 0700) == 0 && mkfifo(pipe_path, 0600) == 0 && symlink("nowhere", link_path) == 0);
    TEST_CHECK(gc_snapshot_write(folder) == EEXIST && gc_snapshot_write(pipe_path) == EEXIST);
    TEST_CHECK(gc_snapshot_write(link_path) == EEXIST);
    TEST_CHECK(lstat(pipe_path, &st) == 0 && S_ISFIFO(st.st_mode) && lstat(link_path, &st) == 0 && S_ISLNK(st.st_mode));
    TEST_CHECK(unlink(pipe_path) == 0 && unlink(link_path) == 0 && rmdir(folder) == 0);
}

static void files_are_refused(void)
{
    char path[1100];
    memset(path, 'x', sizeof(path));
    path[1099] = 0;
    TEST_CHECK(gc_snapshot_write(NULL) == EINVAL && gc_snapshot_write(path) == EINVAL);
    TEST_CHECK(gc_snapshot_write("") == EINVAL);
    TEST_CHECK(gc_snapshot_write("/nonexistent/x") == ENOENT);
    snapshot_over_no_file();
    TEST_CHECK(gc_profile_write(NULL, GC_PROFILE_LIVE) == EINVAL && gc_leaks_write(NULL, GC_LEAKS_TEXT) == EINVAL);
    TEST_CHECK(gc_profile_write_fd(1, 2) == EINVAL && gc_profile_write_fd(1, -1) == EINVAL);
    TEST_CHECK(gc_leaks_write_fd(1, 2) == EINVAL && gc_leaks_write_fd(1, -1) == EINVAL);
    TEST_CHECK(gc_profile_write_fd(-1, GC_PROFILE_UNREACHABLE) == EBADF && gc_leaks_write_fd(-1, GC_LEAKS_JSON) == EBADF);
    TEST_CHECK(gc_set_profile_rate(((size_t)1 << 40) + 1) == EINVAL && gc_set_profile_rate(0) == 0);
    gc_inhibit();
    TEST_CHECK(gc_snapshot_write("/tmp/never.heapsnapshot") == ECANCELED && gc_leaks_write_fd(1, 1) == ECANCELED);
    gc_uninhibit();
}

static char snapshot_path[64];
static size_t n_again, n_written;
static void *write_snapshots(void *arg)
{
    for (int i = 0; i < 10; i++) {
        int error = gc_snapshot_write(snapshot_path);
        TEST_CHECK(error == 0 || error == EAGAIN);
        __atomic_add_fetch(error == 0 ? &n_written : &n_again, 1, __ATOMIC_SEQ_CST);
        struct stat st;
        TEST_CHECK(n_written == 0 || (stat(snapshot_path, &st) == 0 && st.st_size > 1000));
    }
    return arg;
}

/* To one file: whoever is refused leaves it alone. */
static void one_snapshot_at_a_time(void)
{
    pthread_t threads[4];
    snprintf(snapshot_path, sizeof(snapshot_path), "/tmp/interface_errors.%d", getpid());
    for (uintptr_t i = 0; i < 4; i++)
        TEST_CHECK(pthread_create(&threads[i], NULL, write_snapshots, (void *)i) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    TEST_CHECK(n_written > 0 && n_written + n_again == 40);
    unlink(snapshot_path);
}

int main(void)
{
    no_memory_is_told();
    a_queued_finalizer_is_not_replaced();
    files_are_refused();
    one_snapshot_at_a_time();
    return 0;
}
