/* A clone of the process marks while the program runs on (concurrent=yes): what happens between the two stops of such a cycle.
 * Each case first brings a clone on its way that has a long list to mark, so that it runs for a while.
 *     moves          the only pointer to a block moves all the time, from older places to newer ones and back; garbage goes
 *     found          gc_find_object makes an address of nothing: the block stays, for the cycle falls back on one stop
 *     inhibited      the same for what is revealed while collections are inhibited
 *     weak           the program reads weak references: no clone is made
 *     killed         somebody kills the clone: the cycle is made in one stop
 *     stopped        somebody stops the clone: nobody waits for it for ever
 *     unseen         wait and SIGCHLD do not tell of it; it holds no descriptor; a signal for the process group runs no handler in it
 *     forked         the program forks meanwhile: parent and child both collect
 *     unforked       memory within a block that clones do not get: the cycle is made in one stop, and what it refers to stays
 *     distances      what only finalizers will see is held by ways of libraries that the first stop has met
 *     namespaced     the program is about to make a namespace of processes: no clone is made into it
 *     watched        the program is told of each fork by a userfaultfd: no clone is made
 *     exited         a process that ends leaves no clone behind
 *     replaced       nor does one that another program takes the place of
 * usage: concurrent CASE MODULE, under GCMALLOC=concurrent=always,floor=1M,budget=100,percent=20 */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "gcmalloc.h"
#include "test_counter.h"
#include "trap.h"

extern __typeof__(gc_malloc) gc_malloc __attribute__((weak));
extern __typeof__(gc_set_finalizer) gc_set_finalizer __attribute__((weak));
extern __typeof__(gc_set_finalizer_thread) gc_set_finalizer_thread __attribute__((weak));
extern __typeof__(gc_run_finalizers) gc_run_finalizers __attribute__((weak));
extern __typeof__(gc_inhibit) gc_inhibit __attribute__((weak));
extern __typeof__(gc_uninhibit) gc_uninhibit __attribute__((weak));
extern __typeof__(gc_weak_new) gc_weak_new __attribute__((weak));
extern __typeof__(gc_weak_get) gc_weak_get __attribute__((weak));

enum { N_NODES = 600000, NODE_BYTES = 48, N_LOST = 2000, LOST_BYTES = 208, GARBAGE_BYTES = 3000, N_MOVED = 64, MAX_GARBAGE = 400000 };

struct node {
    struct node *next;
    uint64_t number;
};
static struct node *list;
static uintptr_t lost[N_LOST]; /* hidden */
static const char *module; /* named like fontconfig's library */

/* One after the other: a marker waits for memory at each. */
static void list_make(void)
{
    for (uint64_t i = 0; i < N_NODES; i++) {
        struct node *n = malloc(NODE_BYTES);
        TEST_CHECK(n != NULL);
        n->next = list;
        n->number = i;
        list = n;
    }
}

static void list_check(void)
{
    uint64_t i = N_NODES;
    for (const struct node *n = list; n != NULL; n = n->next)
        TEST_CHECK(n->number == --i);
    TEST_CHECK(i == 0);
}

static __attribute__((noinline)) void lose(void)
{
    for (int i = 0; i < N_LOST; i++) {
        char *p = malloc(LOST_BYTES);
        test_fill(p, LOST_BYTES, (uint32_t)i);
        lost[i] = ~(uintptr_t)p;
    }
}

static __attribute__((noinline)) void make_garbage(void)
{
    volatile char *p = malloc(GARBAGE_BYTES);
    p[0] = 1;
}

static void until(const char *counted)
{
    uint64_t before = test_counter(counted);
    for (int i = 0; i < MAX_GARBAGE; i++) {
        make_garbage();
        if (test_counter(counted) != before)
            return;
    }
    TEST_FAIL("%s: none more", counted);
}

static void until_clone(void)
{
    until("clones");
}

/* The cycle that is under way, and none that begins later: that would be one more. */
static void until_cycle(void)
{
    until("cycles");
}

static pid_t clone_pid(void)
{
    char path[64], text[64] = "";
    pid_t pid = 0;
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        TEST_SKIP("this kernel does not list children");
    if (read(fd, text, sizeof(text) - 1) > 0)
        pid = (pid_t)atoi(text);
    close(fd);
    return pid;
}

/* What lies there now may be of another size. */
static unsigned n_lost_gone(void)
{
    unsigned n = 0;
    for (int i = 0; i < N_LOST; i++)
        n += gc_find_object((void *)~lost[i], NULL) != (void *)~lost[i];
    return n;
}

/* ---- the cases ------------------------------------------------------------------------------------------------ */

static void moves(void)
{
    struct holder {
        char *moved;
        char rest[100];
    } *from = calloc(N_MOVED, sizeof(*from)), *to;
    for (uint32_t i = 0; i < N_MOVED; i++)
        test_fill(from[i].moved = malloc(LOST_BYTES), LOST_BYTES, i);
    uint64_t before = test_counter("cycles_concurrent");
    while (test_counter("cycles_concurrent") < before + 4) {
        to = calloc(N_MOVED, sizeof(*to)); /* newer than the clone, which must not miss what moves here */
        for (uint32_t i = 0; i < N_MOVED; i++) {
            to[i].moved = from[i].moved;
            from[i].moved = NULL;
        }
        from = to;
        for (int i = 0; i < 64; i++)
            make_garbage();
        for (uint32_t i = 0; i < N_MOVED; i++)
            TEST_CHECK(test_is_filled(from[i].moved, LOST_BYTES, i));
    }
    for (uint32_t i = 0; i < N_MOVED; i++)
        TEST_CHECK(gc_find_object(from[i].moved, NULL) == from[i].moved);
    TEST_CHECK(n_lost_gone() >= N_LOST * 9 / 10);
}

static void found(void)
{
    uint64_t before = test_counter("cycles_concurrent");
    char *p = gc_find_object((void *)~lost[7], NULL);
    TEST_CHECK(p != NULL); /* the clone does not know of p */
    until_cycle();
    TEST_CHECK(test_is_filled(p, LOST_BYTES, 7) && gc_find_object(p, NULL) == p);
    TEST_CHECK(test_counter("cycles_concurrent") == before);
}

static void inhibited(void)
{
    gc_inhibit();
    char *p = (char *)~lost[7];
    __asm__ volatile("" : "+r"(p)); /* here and now */
    gc_uninhibit();
    until_cycle();
    TEST_CHECK(test_is_filled(p, LOST_BYTES, 7) && gc_find_object(p, NULL) == p);
}

static void weak(void)
{
    struct gc_weak *w = gc_weak_new(list);
    uint64_t before = test_counter("clones");
    until_cycle(); /* the one that is under way */
    until_cycle();
    TEST_CHECK(test_counter("clones") == before && gc_weak_get(w) == list);
}

static char clone_state(pid_t pid)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    const char *name_end = n > 0 ? strrchr(text, ')') : NULL;
    return name_end != NULL ? name_end[2] : 0;
}

/* The clone, standing still before it has ended. */
static pid_t clone_stopped(void)
{
    pid_t pid = clone_pid();
    char state = 0;
    if (pid == 0 || kill(pid, SIGSTOP) != 0)
        TEST_SKIP("the clone was too fast");
    for (int i = 0; i < 1000 && (state = clone_state(pid)) != 'T' && state != 'Z'; i++)
        usleep(1000);
    if (state != 'T')
        TEST_SKIP("the clone was too fast");
    return pid;
}

static void killed(void)
{
    uint64_t before = test_counter("cycles_concurrent");
    kill(clone_stopped(), SIGKILL);
    until_cycle();
    TEST_CHECK(test_counter("cycles_concurrent") == before && n_lost_gone() >= N_LOST * 9 / 10);
}

static void stopped(void)
{
    uint64_t before = test_counter("cycles_concurrent");
    clone_stopped();
    until_cycle();
    TEST_CHECK(test_counter("cycles_concurrent") == before && n_lost_gone() >= N_LOST * 9 / 10);
}

static _Atomic int *n_handled;

static void handle(int sig)
{
    (void)sig;
    atomic_fetch_add(n_handled, 1);
}

/* That it did not open itself. */
static unsigned n_descriptors(pid_t pid)
{
    char path[64], to[256];
    unsigned n = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *d = opendir(path);
    TEST_CHECK(d != NULL);
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        ssize_t len = readlinkat(dirfd(d), e->d_name, to, sizeof(to));
        n += e->d_name[0] != '.' && len > 0 && strncmp(to, "/proc/", 6) != 0 && strncmp(to, "anon_inode:[eventfd]", 20) != 0;
    }
    closedir(d);
    return n;
}

static void unseen(void)
{
    struct sigaction of_children = {.sa_handler = handle, .sa_flags = SA_NOCLDSTOP};
    TEST_CHECK(sigaction(SIGCHLD, &of_children, NULL) == 0);
    pid_t pid = clone_stopped();
    for (int i = 0; i < 10 && n_descriptors(pid) != 0; i++) { /* until its first step it shares ours */
        kill(pid, SIGCONT);
        usleep(1000);
        TEST_CHECK(clone_stopped() == pid);
    }
    TEST_CHECK(n_descriptors(pid) == 0);
    TEST_CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    kill(0, SIGUSR1);
    kill(pid, SIGCONT);
    until_cycle();
    TEST_CHECK(atomic_load(n_handled) == 1); /* both signals; the other one is SIGCHLD */
    TEST_CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

static void forked(void)
{
    int status = 0;
    pid_t pid = fork();
    TEST_CHECK(pid >= 0);
    until_cycle();
    list_check();
    TEST_CHECK(n_lost_gone() >= N_LOST * 9 / 10);
    if (pid == 0)
        _exit(0);
    TEST_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void unforked_of(size_t n_pages)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char **block = aligned_alloc(page, n_pages * page);
    for (uint32_t i = 0; i < N_MOVED; i++)
        test_fill(block[i] = malloc(LOST_BYTES), LOST_BYTES, i);
    TEST_CHECK(madvise(block, n_pages * page, MADV_DONTFORK) == 0);
    until_cycle(); /* the one that is under way */
    until_cycle();
    for (uint32_t i = 0; i < N_MOVED; i++)
        TEST_CHECK(gc_find_object(block[i], NULL) == block[i] && test_is_filled(block[i], LOST_BYTES, i));
    TEST_CHECK(madvise(block, n_pages * page, MADV_DOFORK) == 0);
}

/* The second is large enough to be read only where its pages are. */
static void unforked(void)
{
    unforked_of(16);
    unforked_of(512);
}

/* What only the finalizer of a block sees is held by a distance, as fontconfig writes it. */
struct pattern {
    int32_t n, n_room;
    uintptr_t distance;
};
static unsigned n_finalized;

static void finalize(void *obj, void *arg)
{
    struct pattern *p = *(struct pattern **)obj;
    char *elements = (char *)p + p->distance;
    (void)arg;
    TEST_CHECK(gc_find_object(elements, NULL) == elements && test_is_filled(elements, 160, 5));
    n_finalized++;
}

static __attribute__((noinline)) void make_finalized(void)
{
    void **obj = gc_malloc(64, 0);
    struct pattern *p = calloc(1, 24);
    char *elements = malloc(160);
    test_fill(elements, 160, 5);
    *p = (struct pattern){1, 10, (uintptr_t)elements - (uintptr_t)p};
    obj[0] = p;
    TEST_CHECK(gc_set_finalizer(obj, finalize, NULL) == 0);
}

static void distances(void)
{
    TEST_CHECK(dlopen(module, RTLD_NOW) != NULL);
    gc_set_finalizer_thread(0);
    for (int i = 0; i < N_MOVED; i++)
        make_finalized();
    trap_clear_stack();
    until_cycle(); /* the one that is under way */
    until_cycle();
    gc_run_finalizers();
    TEST_CHECK(n_finalized >= N_MOVED * 9 / 10);
}

/* The first process of a namespace takes it along when it ends. */
static void namespaced(void)
{
    int status = 0;
    if (unshare(CLONE_NEWPID) != 0)
        TEST_SKIP("no namespace can be made");
    until_cycle();
    until_cycle();
    pid_t pid = fork();
    TEST_CHECK(pid >= 0);
    if (pid == 0)
        _exit(getpid() == 1 ? 0 : 1);
    TEST_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void *watch(void *arg)
{
    struct pollfd p = {*(int *)arg, POLLIN, 0};
    struct uffd_msg message;
    while (poll(&p, 1, -1) > 0)
        if (read(p.fd, &message, sizeof(message)) < 0)
            return NULL;
    return NULL;
}

/* A clone that is made while that thread stands still waits for it, and so would everybody. */
static void watched(void)
{
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_EVENT_FORK};
    size_t n_bytes = 1 << 20;
    pthread_t thread;
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || ioctl(fd, UFFDIO_API, &api) != 0)
        TEST_SKIP("forks cannot be watched");
    munmap((void *)n_handled, sizeof(*n_handled)); /* shared memory may be the watcher's to deliver, too, and is not read then */
    void *p = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register range = {{(uintptr_t)p, n_bytes}, UFFDIO_REGISTER_MODE_MISSING, 0};
    TEST_CHECK(ioctl(fd, UFFDIO_REGISTER, &range) == 0);
    TEST_CHECK(pthread_create(&thread, NULL, watch, &fd) == 0);
    until_cycle(); /* the one that is under way */
    until_cycle();
    TEST_CHECK(n_lost_gone() >= N_LOST * 9 / 10);
}

/* Whoever has no parent any more becomes ours. */
static void exited(void)
{
    int status = 0;
    TEST_CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        until_clone();
        _exit(0);
    }
    TEST_CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    for (pid_t got; (got = waitpid(-1, &status, __WALL)) > 0;)
        TEST_CHECK(WIFEXITED(status) || WTERMSIG(status) == SIGKILL);
    TEST_CHECK(errno == ECHILD);
}

static void replaced(void)
{
    execl("/proc/self/exe", "concurrent", "childless", NULL);
    TEST_FAIL("exec");
}

static void childless(void)
{
    int status;
    TEST_CHECK(waitpid(-1, &status, __WALL | WNOHANG) == -1 && errno == ECHILD);
    _exit(0);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {{"moves", moves},     {"found", found},   {"inhibited", inhibited}, {"weak", weak},     {"killed", killed},
                 {"stopped", stopped}, {"unseen", unseen}, {"forked", forked},       {"unforked", unforked}, {"distances", distances},
                 {"namespaced", namespaced}, {"watched", watched}, {"exited", exited},
                 {"replaced", replaced}};
    if (gc_collect_level == NULL)
        TEST_FAIL("the library is not loaded");
    if (argc == 2 && strcmp(argv[1], "childless") == 0)
        childless();
    module = argc == 3 ? argv[2] : NULL;
    n_handled = mmap(NULL, sizeof(*n_handled), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    TEST_CHECK(n_handled != MAP_FAILED);
    setpgid(0, 0);
    signal(SIGUSR1, handle);
    signal(SIGCHLD, handle);
    gc_malloc(1, 0); /* from now on no cycle waits because the last one recovered little */
    list_make();
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        if (argc < 2 || strcmp(argv[1], cases[i].name) != 0)
            continue;
        lose();
        trap_clear_stack();
        if (strcmp(argv[1], "exited") != 0)
            until_clone();
        cases[i].run();
        list_check();
        return 0;
    }
    TEST_FAIL("usage: concurrent CASE");
}
