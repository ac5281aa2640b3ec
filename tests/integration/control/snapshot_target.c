/* A heap of known shape, and two snapshots of it.
 *
 * usage: snapshot_target DIRECTORY [MODULE MODULE], or DIRECTORY freed: then the one snapshot of that name
 * With two modules, named as Python's library and fontconfig's are, blocks that no word refers to are planted, too.
 * Prints what it planted, NAME=ADDRESS a line, and how many bytes the heap holds. With the library preloaded.
 */
#include <dlfcn.h>
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

enum { DIGIT_BITS = 30, INTEGER_BYTES = 56, N_ELEMENTS_ROOM = 16, N_LEAVES = 4 };
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
static void **planted_hidden; /* -> an integer, a pattern, a set */
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

/* An integer of Python's: the number of digits, and two of them. */
static __attribute__((noinline)) void plant_integer(uint64_t *words, const char *name, size_t size)
{
    const uint64_t mask = (UINT64_C(1) << DIGIT_BITS) - 1;
    uintptr_t target = (uintptr_t)plant_block(size);

    words[0] = 2;
    words[1] = (target & mask) | (uint64_t)(target >> DIGIT_BITS) << 32;
    printf("%s=%p\n", name, (void *)target);
}

static __attribute__((noinline)) intptr_t plant_distance(const void *from, const char *name, size_t size)
{
    void *target = plant_block(size);

    printf("%s=%p\n", name, target);
    return (intptr_t)target - (intptr_t)from;
}

/* A pattern of fontconfig's, and a character set. */
static __attribute__((noinline)) void plant_distances(void)
{
    intptr_t *pattern = (intptr_t *)plant_block(24), *set = (intptr_t *)plant_block(24), *leaves;

    pattern[0] = (intptr_t)N_ELEMENTS_ROOM << 32;
    pattern[1] = plant_distance(pattern, "elements", N_ELEMENTS_ROOM * 16);
    set[0] = (intptr_t)1 << 32 | 1;
    set[1] = plant_distance(set, "leaves", N_LEAVES * sizeof(*leaves));
    set[2] = plant_distance(set, "numbers", N_LEAVES * sizeof(uint16_t));
    leaves = (intptr_t *)((char *)set + set[1]);
    leaves[0] = plant_distance(leaves, "leaf", 320);
    planted_hidden[1] = pattern;
    planted_hidden[2] = set;
}

static __attribute__((noinline)) void plant_hidden(char **modules)
{
    char *maps = mmap(NULL, 3 * MAP_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t *map = (uint64_t *)(void *)(maps + MAP_BYTES);

    for (int i = 0; i < 2; i++)
        if (dlopen(modules[i], RTLD_NOW) == NULL)
            TEST_FAIL("dlopen: %s", dlerror());
    TEST_CHECK(mprotect(map, MAP_BYTES, PROT_READ | PROT_WRITE) == 0);
    plant_integer(map + 9, "in_map", 720);
    planted_hidden = plant_block(sizeof(void *) * 3);
    planted_hidden[0] = plant_block(INTEGER_BYTES);
    plant_integer((uint64_t *)planted_hidden[0] + 2, "in_malloc", 740);
    plant_distances();
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

/* Under quarantine=yes it stays where it is. */
static void *volatile planted_freed;

static int only_freed(const char *directory)
{
    planted_freed = malloc(200);
    printf("freed=%p\n", planted_freed);
    free(planted_freed);
    clear_stack();
    snapshot(directory, "freed");
    return 0;
}

/* No large array here: what lay on the stack before main is never cleared in it. */
int main(int argc, char **argv)
{
    pthread_t thread;
    volatile int is_ready = 0;
    static char out[BUFSIZ];

    if (argc == 3)
        return only_freed(argv[1]);
    TEST_CHECK((argc == 2 || argc == 4) && pipe(pipe_in) == 0);
    signal(SIGCHLD, on_child);
    setvbuf(stdout, out, _IOFBF, sizeof(out));
    plant();
    if (argc == 4)
        plant_hidden(argv + 2);
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
