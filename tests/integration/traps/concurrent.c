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
 *     exited         a process that ends leaves no clone behind
 *     replaced       nor does one that another program takes the place of
 * usage: concurrent CASE, under GCMALLOC=concurrent=always,floor=1M,budget=100,percent=20 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "gcmalloc.h"
#include "test_counter.h"
#include "trap.h"

extern __typeof__(gc_malloc) gc_malloc __attribute__((weak));
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

static void killed(void)
{
    uint64_t before = test_counter("cycles_concurrent");
    pid_t pid = clone_pid();
    if (pid == 0 || kill(pid, SIGKILL) != 0)
        TEST_SKIP("the clone was too fast");
    until_cycle();
    TEST_CHECK(test_counter("cycles_concurrent") <= before + 1 && n_lost_gone() >= N_LOST * 9 / 10);
}

static void stopped(void)
{
    pid_t pid = clone_pid();
    if (pid == 0 || kill(pid, SIGSTOP) != 0)
        TEST_SKIP("the clone was too fast");
    until_cycle();
    TEST_CHECK(n_lost_gone() >= N_LOST * 9 / 10);
}

static _Atomic int *n_handled;

static void handle(int sig)
{
    (void)sig;
    atomic_fetch_add(n_handled, 1);
}

static unsigned n_descriptors(pid_t pid)
{
    char path[64];
    unsigned n = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    DIR *d = opendir(path);
    if (d == NULL)
        return 0;
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void unseen(void)
{
    pid_t pid = clone_pid();
    TEST_CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    kill(0, SIGUSR1);
    until_cycle();
    TEST_CHECK(atomic_load(n_handled) == 1); /* both signals; the other one is SIGCHLD */
    TEST_CHECK(pid == 0 || n_descriptors(pid) == 0);
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

static void unforked(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char ***block = aligned_alloc(page, 16 * page);
    for (uint32_t i = 0; i < N_MOVED; i++)
        test_fill((char *)(block[i] = malloc(LOST_BYTES)), LOST_BYTES, i);
    TEST_CHECK(madvise(block, 16 * page, MADV_DONTFORK) == 0);
    until_cycle(); /* the one that is under way */
    until_cycle();
    for (uint32_t i = 0; i < N_MOVED; i++)
        TEST_CHECK(gc_find_object(block[i], NULL) == block[i] && test_is_filled((char *)block[i], LOST_BYTES, i));
    TEST_CHECK(madvise(block, 16 * page, MADV_DOFORK) == 0);
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
                 {"stopped", stopped}, {"unseen", unseen}, {"forked", forked},       {"unforked", unforked}, {"exited", exited},
                 {"replaced", replaced}};
    if (gc_collect_level == NULL)
        TEST_FAIL("the library is not loaded");
    if (argc == 2 && strcmp(argv[1], "childless") == 0)
        childless();
    n_handled = mmap(NULL, sizeof(*n_handled), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
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
