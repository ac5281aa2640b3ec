/* Every function of gcmalloc.h from every place where the header says that it may be called: several threads at once,
 * finalizers, cleanups, functions of gc_on_event and gc_heap_walk, the ends of threads and of the process, before main, and
 * in a child of fork. Each does what it says there, and an int result leaves errno alone. */
#include "interface.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>

enum { ERRNO_KEPT = 4242 };

static void nothing(void *obj, void *arg)
{
    (void)obj;
    (void)arg;
}
static void nothing_more(void *arg)
{
    (void)arg;
}
static void hear_nothing(int event, void *arg)
{
    (void)event;
    (void)arg;
}

/* ---- the functions, in groups ---- */

static const struct gc_type *type_of_pairs(void)
{
    static const struct gc_type *type;
    const uint64_t mask = 1;
    const struct gc_type_step step = {1, 1, 1};
    const struct gc_type *fresh = gc_type_create(16, &mask, 2), *none = NULL;
    TEST_CHECK(fresh != NULL && gc_type_create_steps(16, &step, 1) != NULL && gc_type_size(fresh) == 16);
    return __atomic_compare_exchange_n(&type, &none, fresh, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) ? fresh : none;
}

static void call_allocation(void)
{
    static const struct gc_type *type;
    const struct gc_type *known = __atomic_load_n(&type, __ATOMIC_SEQ_CST);
    if (known == NULL)
        __atomic_store_n(&type, known = type_of_pairs(), __ATOMIC_SEQ_CST);
    size_t size = 0;
    char *p = gc_malloc(100, GC_NOSCAN), *q = gc_new(known);
    TEST_CHECK(p != NULL && q != NULL && p[99] == 0 && q[15] == 0);
    TEST_CHECK(gc_new_array(known, 100) != NULL && gc_new_sized(known, 40) != NULL);
    TEST_CHECK(gc_good_size(100) >= 100 && gc_find_object(p + 50, &size) == p && size >= 100);
    TEST_CHECK(gc_version()[0] >= '0');
    free(p);
    free(q);
}

static void call_lifetime(void)
{
    struct gc_finalizer set = {nothing, NULL, GC_UNORDERED};
    void *p = gc_malloc(64, 0), **box = gc_malloc(64, GC_NOSCAN);
    errno = ERRNO_KEPT;
    TEST_CHECK(gc_set_finalizer(p, nothing, NULL) == 0 && gc_exchange_finalizer(p, &set, NULL) == 0);
    TEST_CHECK(gc_add_cleanup(p, nothing_more, NULL) == 0);
    TEST_CHECK(gc_pin(p) == 0 && gc_unpin(p) == 0);
    box[0] = p;
    TEST_CHECK(gc_weak_link(box, p, 0) == 0 && gc_weak_move(box, box + 1) == 0 && gc_weak_unlink(box + 1) == 0);
    gc_run_finalizers();
    gc_set_finalizer_thread(1);
    TEST_CHECK(errno == ERRNO_KEPT);
    struct gc_weak *weak = gc_weak_new(p);
    errno = ERRNO_KEPT;
    TEST_CHECK(gc_weak_get(weak) == p);
    free(p);
    TEST_CHECK(gc_weak_get(weak) == NULL && errno == ERRNO_KEPT);
}

static void call_control(void)
{
    static char range[8192];
    errno = ERRNO_KEPT;
    gc_collect();
    for (int level = GC_IF_DUE; level <= GC_FULL_EAGER; level++) {
        int error = gc_collect_level(level);
        TEST_CHECK(error == 0 || error == ECANCELED);
    }
    gc_inhibit();
    TEST_CHECK(gc_collect_level(GC_FULL) == ECANCELED);
    gc_uninhibit();
    TEST_CHECK(gc_set_percent(100) == 0 && gc_set_limit(0) == 0 && gc_set_mode(GC_MODE_RECLAIM) == 0);
    TEST_CHECK(gc_on_event(GC_ON_LIMIT, hear_nothing, &errno) == 0 && gc_off_event(hear_nothing, &errno) == 0);
    TEST_CHECK(gc_add_roots(range, 64) == 0 && gc_remove_roots(range, 64) == 0);
    TEST_CHECK(gc_exclude_roots(range, 64) == 0 && gc_remove_roots(range, 64) == 0);
    TEST_CHECK(gc_stack_suspend(range, range + 8000) == 0 && gc_stack_resume(range, range + 8000) == 0);
    gc_trim();
    TEST_CHECK(errno == ERRNO_KEPT);
}

static int walk_some(const struct gc_block *block, void *arg)
{
    TEST_CHECK(block->start != NULL && block->size_bytes > 0);
    return ++*(int *)arg == 2 ? 9 : 0;
}

static void call_looking(void)
{
    struct gc_class_stats classes[8];
    struct gc_stats stats;
    const char *name;
    uint64_t value;
    int n = 0;
    errno = ERRNO_KEPT;
    TEST_CHECK(gc_get_stats(&stats, sizeof(stats)) == 0 && stats.heap_used_bytes > 0 && stats.n_blocks_used > 0);
    TEST_CHECK(gc_get_classes(classes, sizeof(classes[0]), 8) > 0 && gc_get_counter(0, &name, &value) == 0);
    TEST_CHECK(gc_heap_walk(walk_some, &n) == 9);
    TEST_CHECK(errno == ERRNO_KEPT);
}

/* A snapshot that another thread makes, or a walk further out, is a reason to refuse. */
static void call_files(void)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    errno = ERRNO_KEPT;
    TEST_CHECK(gc_set_profile_rate(0) == 0);
    TEST_CHECK(gc_profile_write_fd(fd, GC_PROFILE_LIVE) == 0);
    int error = gc_leaks_write_fd(fd, GC_LEAKS_JSON);
    TEST_CHECK(error == 0 || error == ECANCELED);
    error = gc_snapshot_write("/nonexistent/there is no such folder");
    TEST_CHECK(error == ENOENT || error == EAGAIN || error == ECANCELED);
    TEST_CHECK(gc_profile_write("/nonexistent/nor here", 0) == ENOENT && gc_leaks_write("/nonexistent/nor here", 0) == ENOENT);
    TEST_CHECK(errno == ERRNO_KEPT);
    close(fd);
}

static void call_all(void)
{
    call_allocation();
    call_lifetime();
    call_control();
    call_looking();
    call_files();
}

/* ---- the places ---- */

static int n_done[8];
enum place { AT_FINALIZER, AT_CLEANUP, AT_EVENT, AT_WALK, AT_THREAD_END, AT_EXIT, AT_START };

static void note(enum place place)
{
    __atomic_add_fetch(&n_done[place], 1, __ATOMIC_SEQ_CST);
}
static int noted(enum place place)
{
    return __atomic_load_n(&n_done[place], __ATOMIC_SEQ_CST);
}

__attribute__((constructor)) static void before_main(void)
{
    call_all();
    note(AT_START);
}

static void finalize(void *obj, void *arg)
{
    (void)obj;
    (void)arg;
    call_all();
    note(AT_FINALIZER);
}
static void clean(void *arg)
{
    (void)arg;
    call_all();
    note(AT_CLEANUP);
}

static NOINLINE void make_garbage(void)
{
    for (int i = 0; i < 10; i++) {
        void *p = gc_malloc(48, 0);
        TEST_CHECK(gc_set_finalizer(p, finalize, NULL) == 0 && gc_add_cleanup(p, clean, NULL) == 0);
    }
}

static void in_finalizers(bool is_by_thread)
{
    int before = noted(AT_FINALIZER), cleaned = noted(AT_CLEANUP);
    gc_set_finalizer_thread(is_by_thread);
    make_garbage();
    for (int i = 0; i < 2000 && (noted(AT_FINALIZER) < before + 5 || noted(AT_CLEANUP) < cleaned + 5); i++) {
        interface_clear_stack();
        gc_collect();
        if (is_by_thread)
            usleep(1000);
        else
            gc_run_finalizers();
    }
    TEST_CHECK(noted(AT_FINALIZER) >= before + 5 && noted(AT_CLEANUP) >= cleaned + 5);
    gc_set_finalizer_thread(1);
}

static void hear(int event, void *arg)
{
    (void)event;
    (void)arg;
    call_all();
    note(AT_EVENT);
}

static void in_events(void)
{
    TEST_CHECK(gc_on_event(GC_ON_BEGIN | GC_ON_END, hear, NULL) == 0);
    gc_collect();
    TEST_CHECK(gc_off_event(hear, NULL) == 0);
    TEST_CHECK(noted(AT_EVENT) >= 2);
}

static int walk(const struct gc_block *block, void *arg)
{
    (void)block;
    call_all();
    note(AT_WALK);
    return ++*(int *)arg == 3;
}

static void *run_thread(void *arg)
{
    for (int i = 0; i < 3; i++)
        call_all();
    return arg;
}

static pthread_key_t key;
static void at_thread_end(void *value)
{
    (void)value;
    call_all();
    note(AT_THREAD_END);
}
static void *run_ending_thread(void *arg)
{
    pthread_setspecific(key, &key);
    return arg;
}

static void in_threads(void *(*run)(void *))
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        TEST_CHECK(pthread_create(&threads[i], NULL, run, NULL) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
}

/* The status that the process would have is kept: only in a child can it be seen. */
static void at_exit(void)
{
    call_all();
    note(AT_EXIT);
}

static void in_a_child(bool is_at_exit)
{
    pid_t pid = fork();
    if (pid == 0) {
        call_all();
        if (is_at_exit)
            atexit(at_exit);
        exit(31);
    }
    int status = 0;
    TEST_CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 31);
}

int main(void)
{
    int n = 0;
    TEST_CHECK(noted(AT_START) == 1);
    call_all();
    in_finalizers(true);
    in_finalizers(false);
    in_events();
    TEST_CHECK(gc_heap_walk(walk, &n) == 1 && noted(AT_WALK) == 3);
    in_threads(run_thread);
    TEST_CHECK(pthread_key_create(&key, at_thread_end) == 0);
    in_threads(run_ending_thread);
    TEST_CHECK(noted(AT_THREAD_END) == 4);
    in_a_child(false);
    in_a_child(true);
    return 0;
}
