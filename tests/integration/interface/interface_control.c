/* Collections and who controls them: levels, inhibition, roots and pins, trim, walks. */
#include "interface.h"

#include <pthread.h>
#include <sys/mman.h>

static void errors_are_told(void)
{
    static char foreign[64];
    char *p = gc_malloc(64, 0);
    TEST_CHECK(gc_collect_level(-1) == EINVAL && gc_collect_level(3) == EINVAL);
    TEST_CHECK(gc_set_percent(100001) == EINVAL && gc_set_percent(100) == 0);
    TEST_CHECK(gc_set_mode(-1) == EINVAL && gc_set_mode(5) == EINVAL);
    TEST_CHECK(gc_set_limit(0) == 0);
    TEST_CHECK(gc_pin(foreign) == EINVAL && gc_pin(p + 8) == EINVAL && gc_unpin(p) == EINVAL);
    TEST_CHECK(gc_add_roots(p, 0) == EINVAL && gc_remove_roots(foreign, 8) == EINVAL);
    TEST_CHECK(gc_exclude_roots(foreign, SIZE_MAX) == EINVAL);
    TEST_CHECK(gc_find_object(foreign, NULL) == NULL);
    size_t size = 0;
    TEST_CHECK(gc_find_object(p + 63, &size) == p && size == 64);
}

static NOINLINE void build(void)
{
    for (size_t i = 0; i < INTERFACE_N; i++)
        interface_hide(i, gc_malloc(64, 0));
}

static void inhibition_nests(void)
{
    gc_inhibit();
    gc_inhibit();
    build();
    TEST_CHECK(gc_collect_level(GC_FULL) == ECANCELED);
    gc_uninhibit();
    TEST_CHECK(gc_collect_level(GC_FULL) == ECANCELED);
    gc_collect();
    TEST_CHECK(interface_n_alive() == INTERFACE_N);
    gc_uninhibit();
    interface_collect();
    TEST_CHECK(interface_n_alive() <= INTERFACE_N - INTERFACE_NEARLY_ALL);
}

static void modes_are_obeyed(void)
{
    build();
    TEST_CHECK(gc_set_mode(GC_MODE_OFF) == 0 && gc_collect_level(GC_FULL) == ECANCELED);
    TEST_CHECK(gc_set_mode(GC_MODE_REPORT) == 0 && gc_collect_level(GC_FULL) == 0);
    TEST_CHECK(interface_n_alive() == INTERFACE_N);
    TEST_CHECK(gc_set_mode(GC_MODE_EXPLICIT) == 0);
    interface_collect();
    TEST_CHECK(interface_n_alive() <= INTERFACE_N - INTERFACE_NEARLY_ALL);
    build();
    TEST_CHECK(gc_set_mode(GC_MODE_RECLAIM) == 0);
    interface_collect();
    TEST_CHECK(interface_n_alive() <= INTERFACE_N - INTERFACE_NEARLY_ALL);
    TEST_CHECK(gc_set_mode(GC_MODE_AUTO) == 0);
}

static NOINLINE void pin_all(bool is_pin)
{
    for (size_t i = 0; i < INTERFACE_N; i++)
        TEST_CHECK((is_pin ? gc_pin : gc_unpin)((void *)~interface_hidden[i]) == 0);
}

static void pins_keep(void)
{
    gc_inhibit();
    build();
    pin_all(true);
    pin_all(true);
    gc_uninhibit();
    interface_collect();
    pin_all(false);
    interface_collect();
    TEST_CHECK(interface_n_alive() == INTERFACE_N);
    pin_all(false);
    interface_collect();
    TEST_CHECK(interface_n_alive() <= INTERFACE_N - INTERFACE_NEARLY_ALL);
}

/* A private map is a root by itself: until it is excluded. */
static void ranges_are_added_and_left_out(void)
{
    size_t bytes = INTERFACE_N * sizeof(void *);
    void **map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    gc_inhibit();
    build();
    for (size_t i = 0; i < INTERFACE_N; i++)
        map[i] = (void *)~interface_hidden[i];
    gc_uninhibit();
    interface_collect();
    TEST_CHECK(interface_n_alive() == INTERFACE_N);
    TEST_CHECK(gc_exclude_roots(map, bytes) == 0);
    interface_collect();
    TEST_CHECK(interface_n_alive() <= INTERFACE_N - INTERFACE_NEARLY_ALL);
    TEST_CHECK(gc_remove_roots(map, bytes) == 0 && gc_remove_roots(map, bytes) == EINVAL);
    munmap(map, bytes);
}

static NOINLINE void fill_stack(char *stack, size_t bytes)
{
    gc_inhibit();
    build();
    for (size_t i = 0; i < INTERFACE_N; i++)
        ((void **)stack)[i] = (void *)~interface_hidden[i];
    ((void **)(stack + bytes))[-1] = gc_malloc(48, 0);
    gc_uninhibit();
}

static void dead_parts_of_stacks_are_left_out(void)
{
    enum { BYTES = 65536 };
    char *stack = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    fill_stack(stack, BYTES);
    TEST_CHECK(gc_stack_suspend(stack, stack + BYTES - 256) == 0);
    interface_collect();
    TEST_CHECK(interface_n_alive() <= INTERFACE_N - INTERFACE_NEARLY_ALL);
    TEST_CHECK(gc_find_object(((void **)(stack + BYTES))[-1], NULL) != NULL);
    TEST_CHECK(gc_stack_resume(stack, stack + BYTES - 256) == 0);
    TEST_CHECK(gc_stack_resume(stack, stack + BYTES - 256) == EINVAL);
    munmap(stack, BYTES);
}

/* ---- walking ---- */

struct found {
    char *wanted, *last;
    size_t n, n_wanted;
    bool is_malloc, is_noscan;
};
static int find_block(const struct gc_block *block, void *arg)
{
    struct found *f = arg;
    TEST_CHECK((char *)block->start > f->last && block->size_bytes != 0);
    f->last = block->start;
    f->n++;
    if (block->start == f->wanted) {
        f->n_wanted++;
        f->is_malloc = (block->flags & GC_IS_MALLOC) != 0;
        f->is_noscan = (block->flags & GC_NOSCAN) != 0;
    }
    return 0;
}
static int stop_at_once(const struct gc_block *block, void *arg)
{
    (void)block;
    ++*(int *)arg;
    free(malloc(100));
    gc_collect(); /* inhibited */
    return 7;
}

static void walks_see_each_block_once(void)
{
    const size_t sizes[] = {20, 3000, 40000, 5000000};
    for (int i = 0; i < 8; i++) {
        bool is_malloc = i % 2 == 0;
        char *p = is_malloc ? malloc(sizes[i / 2]) : gc_malloc(sizes[i / 2], GC_NOSCAN);
        struct found f = {.wanted = p};
        TEST_CHECK(gc_heap_walk(find_block, &f) == 0);
        TEST_CHECK(f.n_wanted == 1 && f.n > 1 && f.is_malloc == is_malloc && f.is_noscan == !is_malloc);
        free(p);
        f = (struct found){.wanted = p};
        TEST_CHECK(gc_heap_walk(find_block, &f) == 0 && f.n_wanted == 0);
    }
    int n = 0;
    TEST_CHECK(gc_heap_walk(stop_at_once, &n) == 7 && n == 1);
}

static volatile bool is_over;
static void *churn(void *arg)
{
    while (!is_over)
        for (int i = 0; i < 100; i++)
            free(gc_malloc((size_t)i * 50, i % 2));
    return arg;
}

static void walks_go_on_beside_other_threads(void)
{
    pthread_t thread;
    TEST_CHECK(pthread_create(&thread, NULL, churn, NULL) == 0);
    for (int i = 0; i < 50; i++) {
        struct found f = {.wanted = NULL};
        TEST_CHECK(gc_heap_walk(find_block, &f) == 0 && f.n > 0);
        gc_trim();
    }
    is_over = true;
    pthread_join(thread, NULL);
}

int main(void)
{
    errors_are_told();
    inhibition_nests();
    modes_are_obeyed();
    pins_keep();
    ranges_are_added_and_left_out();
    dead_parts_of_stacks_are_left_out();
    walks_see_each_block_once();
    walks_go_on_beside_other_threads();
    return 0;
}
