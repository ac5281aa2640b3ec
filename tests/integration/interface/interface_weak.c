/* Weak handles and links: cleared before finalizers see the block (long links after), gone with their container, and no
 * table that only grows. */
#include "interface.h"

static struct gc_weak *handles[INTERFACE_N];
static void **links; /* GC_NOSCAN: holds addresses and keeps nothing */
static size_t n_seen_cleared, n_seen_long;

static void errors_are_told(void)
{
    char *p = gc_malloc(64, 0);
    void **box = gc_malloc(64, GC_NOSCAN);
    static void *outside;
    errno = 0;
    TEST_CHECK(gc_weak_new(p + 8) == NULL && errno == EINVAL);
    TEST_CHECK(gc_weak_link(box, p + 8, 0) == EINVAL);
    TEST_CHECK(gc_weak_link((void **)((char *)box + 4), p, 0) == EINVAL);
    TEST_CHECK(gc_weak_link(NULL, p, 0) == EINVAL);
    TEST_CHECK(gc_weak_link(box, p, 2) == EINVAL);
    TEST_CHECK(gc_weak_link(box, p, 0) == 0 && gc_weak_link(box, p, 0) == EEXIST);
    TEST_CHECK(gc_weak_link(&outside, p, GC_WEAK_LONG) == 0);
    TEST_CHECK(gc_weak_move(&outside, box) == EEXIST && gc_weak_move(box + 1, box + 2) == EINVAL);
    TEST_CHECK(gc_weak_move(box, box + 1) == 0 && gc_weak_unlink(box) == EINVAL);
    TEST_CHECK(gc_weak_unlink(box + 1) == 0 && gc_weak_unlink(box + 1) == EINVAL);
    TEST_CHECK(gc_weak_unlink(&outside) == 0);
}

/* free of the target clears at once, free of the container ends the link. */
static void free_is_seen(void)
{
    for (size_t size = 16; size < 100000; size *= 3) {
        void **box = gc_malloc(size, GC_NOSCAN), *p = gc_malloc(64, 0), *q = gc_malloc(64, 0);
        size_t last = size / 8 - 1;
        box[0] = p;
        box[last] = q;
        struct gc_weak *w = gc_weak_new(p);
        TEST_CHECK(gc_weak_link(&box[0], p, 0) == 0 && gc_weak_link(&box[last], q, GC_WEAK_LONG) == 0);
        TEST_CHECK(gc_weak_get(w) == p);
        free(p);
        TEST_CHECK(gc_weak_get(w) == NULL && box[0] == NULL && box[last] == q);
        free(box);
        TEST_CHECK(gc_weak_unlink(&box[last]) == EINVAL);
        free(q);
        free(w);
    }
}

static void see(void *obj, void *arg)
{
    size_t i = (uintptr_t)arg;
    n_seen_cleared += gc_weak_get(handles[i]) == NULL && links[2 * i] == NULL;
    n_seen_long += links[2 * i + 1] == obj;
}

static NOINLINE void build_seen(void)
{
    links = gc_malloc(INTERFACE_N * 2 * sizeof(void *), GC_NOSCAN);
    for (uintptr_t i = 0; i < INTERFACE_N; i++) {
        void *p = gc_malloc(48, 0);
        handles[i] = gc_weak_new(p);
        links[2 * i] = links[2 * i + 1] = p;
        TEST_CHECK(gc_weak_link(&links[2 * i], p, 0) == 0);
        TEST_CHECK(gc_weak_link(&links[2 * i + 1], p, GC_WEAK_LONG) == 0);
        TEST_CHECK(gc_set_finalizer(p, see, (void *)i) == 0);
    }
}

/* GCMALLOC=finalizer_thread=no is not needed: what is counted is counted by one thread at a time. */
static void links_are_cleared_before_finalizers_and_long_ones_after(void)
{
    build_seen();
    for (int i = 0; i < 5; i++) {
        interface_clear_stack();
        TEST_CHECK(gc_collect_level(GC_FULL_EAGER) == 0);
        usleep(10000);
    }
    TEST_CHECK(n_seen_cleared >= INTERFACE_NEARLY_ALL);
    TEST_CHECK(n_seen_long >= INTERFACE_NEARLY_ALL);
    size_t n_left = 0;
    for (size_t i = 0; i < INTERFACE_N; i++)
        n_left += links[2 * i + 1] != NULL;
    TEST_CHECK(n_left <= INTERFACE_N - INTERFACE_NEARLY_ALL);
}

static size_t metadata_bytes(void)
{
    struct gc_stats stats;
    TEST_CHECK(gc_get_stats(&stats, sizeof(stats)) == 0);
    return stats.metadata_bytes;
}

/* Containers and targets that nobody frees. */
static NOINLINE void build_lost(void)
{
    void *target = NULL;
    for (int i = 0; i < 2000; i++) {
        void **box = gc_malloc(32, GC_NOSCAN);
        if (i % 8 == 0)
            target = gc_malloc(32, 0);
        for (int w = 0; w < 4; w++) {
            box[w] = target;
            TEST_CHECK(gc_weak_link(&box[w], target, w % 2 == 0 ? GC_WEAK_LONG : 0) == 0);
        }
    }
}

static void the_table_does_not_grow(void)
{
    for (int i = 0; i < 10; i++) {
        build_lost();
        interface_collect();
    }
    size_t before = metadata_bytes();
    for (int i = 0; i < 40; i++) {
        build_lost();
        interface_collect();
    }
    size_t after = metadata_bytes();
    if (after > before + 8000 * 64)
        TEST_FAIL("metadata grew from %zu to %zu bytes", before, after);
}

/* A block that links to itself. */
static void self_links(void)
{
    for (int i = 0; i < 1000; i++) {
        void **p = gc_malloc(32, GC_NOSCAN);
        p[1] = p;
        TEST_CHECK(gc_weak_link(&p[1], p, i % 2 == 0 ? GC_WEAK_LONG : 0) == 0);
        if (i % 3 == 0)
            free(p);
    }
    interface_collect();
}

/* Frees in a span whose last weak reference is gone are ordinary again; only speed would tell, so: they work. */
static void spans_become_ordinary_again(void)
{
    static void *p[1000];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1000; i++)
            p[i] = gc_malloc(80, 0);
        struct gc_weak *w = gc_weak_new(p[500]);
        for (int i = 0; i < 1000; i++)
            free(p[i]);
        TEST_CHECK(gc_weak_get(w) == NULL);
        free(w);
        interface_collect();
    }
}

int main(void)
{
    errors_are_told();
    free_is_seen();
    links_are_cleared_before_finalizers_and_long_ones_after();
    the_table_does_not_grow();
    self_links();
    spans_become_ordinary_again();
    return 0;
}
