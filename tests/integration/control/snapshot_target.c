/* A heap of known shape, and two snapshots of it.
 *
 * usage: snapshot_target DIRECTORY
 * Prints what it planted, NAME=ADDRESS a line, and how many bytes the heap holds. With the library preloaded.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "gcmalloc.h"
#include "test_util.h"

enum { N_LIST = 500, LIST_BYTES = 104, N_GROWN = 300, GROWN_BYTES = 1500, MAP_BYTES = 1 << 16 };

struct list {
    struct list *next;
    char text[LIST_BYTES - sizeof(struct list *)];
};
void **planted_global;            /* -> 200 bytes, at word 3 -> 3000 bytes, at word 5 -> 50 bytes */
static struct list *planted_list; /* all of it through its first */
static void *volatile planted_array[10]; /* [5] -> 400 bytes. volatile, or a compiler makes ten variables of it */
char *planted_packed;       /* -> 1000 bytes, at an offset that is no multiple of 8 */
static void **grown;
static __thread void *planted_tls;
static volatile sig_atomic_t n_children;
static int pipe_in[2];

static void on_child(int sig)
{
    (void)sig;
    n_children++;
}

static __attribute__((noinline)) void **plant_block(size_t size)
{
    void **p = calloc(1, size);
    TEST_CHECK(p != NULL);
    return p;
}

static void *sleeper(void *arg)
{
    char byte;
    pthread_setname_np(pthread_self(), "sleeper");
    void **volatile on_stack = plant_block(800);
    planted_tls = plant_block(900);
    printf("stack=%p\ntls=%p\nthread=%d\n", (void *)on_stack, planted_tls, gettid());
    fflush(stdout);
    *(volatile int *)arg = 1;
    TEST_CHECK(read(pipe_in[0], &byte, 1) == 1);
    return on_stack[0];
}

static __attribute__((noinline)) void plant(void)
{
    planted_global = plant_block(200);
    planted_global[3] = plant_block(3000);
    ((void ***)planted_global)[3][5] = plant_block(50);
    planted_array[5] = plant_block(400);
    for (int i = 0; i < N_LIST; i++) {
        struct list *l = (struct list *)plant_block(sizeof(*l));
        l->next = planted_list;
        planted_list = l;
    }
    void *in_packed = plant_block(1000);
    planted_packed = (char *)plant_block(160);
    memcpy(planted_packed + 44, &in_packed, sizeof(in_packed));
    /* between pages that nobody may read: right behind a library's data it would be one mapping with that */
    char *maps = mmap(NULL, 3 * MAP_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void **map = (void **)(void *)(maps + MAP_BYTES);
    TEST_CHECK(mprotect(map, MAP_BYTES, PROT_READ | PROT_WRITE) == 0);
    map[7] = plant_block(700);
    void *pinned = plant_block(600), *root = gc_malloc(500, GC_ROOT);
    TEST_CHECK(gc_pin(pinned) == 0 && root != NULL);
    printf("chain=%p\nlist=%p\npacked=%p\narray=%p\nmapping=%p\npinned=%p\nroot=%p\n", ((void ***)planted_global)[3][5],
           (void *)planted_list, in_packed, planted_array[5], map[7], pinned, root);
}

static __attribute__((noinline)) void grow(void)
{
    grown = calloc(N_GROWN, sizeof(void *));
    for (int i = 0; i < N_GROWN; i++)
        grown[i] = calloc(1, GROWN_BYTES);
}

static __attribute__((noinline)) void clear_stack(void)
{
    volatile char dead[32768];
    memset((char *)dead, 0, sizeof(dead));
}

static void snapshot(const char *directory, const char *name)
{
    char path[4096];
    struct gc_stats stats;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    TEST_CHECK(gc_snapshot_write(path) == 0);
    TEST_CHECK(gc_get_stats(&stats, sizeof(stats)) == 0);
    printf("%s_bytes=%llu\n", name, (unsigned long long)stats.heap_used_bytes);
    printf("%s_blocks=%d\n", name, N_LIST);
    fflush(stdout);
    TEST_CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD && n_children == 0);
}

static __attribute__((noinline)) void be_refused(const char *directory)
{
    char path[4096];

    TEST_CHECK(gc_snapshot_write(NULL) == EINVAL && gc_snapshot_write("/nowhere/at/all") == ENOENT);
    gc_inhibit();
    snprintf(path, sizeof(path), "%s/none", directory);
    TEST_CHECK(gc_snapshot_write(path) == ECANCELED && access(path, F_OK) != 0);
    gc_uninhibit();
}

/* No large array here: what lay on the stack before main is never cleared in it. */
int main(int argc, char **argv)
{
    pthread_t thread;
    volatile int is_ready = 0;
    static char out[BUFSIZ];

    TEST_CHECK(argc == 2 && pipe(pipe_in) == 0);
    signal(SIGCHLD, on_child);
    setvbuf(stdout, out, _IOFBF, sizeof(out));
    plant();
    TEST_CHECK(pthread_create(&thread, NULL, sleeper, (void *)&is_ready) == 0);
    while (!is_ready)
        usleep(1000);
    clear_stack();
    snapshot(argv[1], "first");
    grow();
    clear_stack();
    snapshot(argv[1], "second");
    be_refused(argv[1]);
    TEST_CHECK(write(pipe_in[1], "x", 1) == 1);
    pthread_join(thread, NULL);
    return 0;
}
