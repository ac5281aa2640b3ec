/* Collections and who controls them: levels, inhibition, roots and pins, events, trim, walks. */
#include "interface.h"

#include <pthread.h>
#include <sys/mman.h>

static void errors_are_told(void)
{
    static char foreign[64];
    char *p = gc_malloc(64, 0);
    TEST_CHECK(gc_collect_level(-1) == EINVAL && gc_collect_level(3) == EINVAL);
    TEST_CHECK(gc_set_percent(100001) == EINVAL && gc_set_percent(100) == 0);
    TEST_CHECK(gc_set_mode(-1) == EINVAL && gc_set_mode(4) == EINVAL);
    TEST_CHECK(gc_set_limit(0) == 0);
    TEST_CHECK(gc_pin(foreign) == EINVAL && gc_pin(p + 8) == EINVAL && gc_unpin(p) == EINVAL);
    TEST_CHECK(gc_add_roots(p, 0) == EINVAL && gc_remove_roots(foreign, 8) == EINVAL);
    TEST_CHECK(gc_exclude_roots(foreign, SIZE_MAX) == EINVAL);
    TEST_CHECK(gc_on_event(0, NULL, NULL) == EINVAL && gc_off_event(NULL, NULL) == EINVAL);
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
    TEST_CHECK(gc_set_mode(GC_MODE_RECLAIM) == 0);
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

/* ---- events ---- */

static unsigned n_events[8];
static void count_event(int event, void *arg)
{
    TEST_CHECK(event == 1 || event == 2 || event == 4);
    __atomic_add_fetch(&((unsigned *)arg)[event], 1, __ATOMIC_SEQ_CST);
    free(gc_malloc(100, 0));
}

static unsigned events_of(int event)
{
    return __atomic_load_n(&n_events[event], __ATOMIC_SEQ_CST);
}

static void collecting_listener(int event, void *arg)
{
    static __thread bool is_in;
    (void)event;
    (void)arg;
    if (is_in)
        return;
    is_in = true;
    gc_collect();
    is_in = false;
}

static NOINLINE void fill_up_to_limit(void)
{
    TEST_CHECK(gc_set_limit(32 << 20) == 0);
    static void *kept[800];
    for (int i = 0; i < 2000; i++)
        memset(kept[i % 800] = gc_malloc(65536, GC_NOSCAN), 1, 65536);
    memset(kept, 0, sizeof(kept));
    TEST_CHECK(gc_set_limit(0) == 0);
}

static void events_are_told(void)
{
    TEST_CHECK(gc_on_event(GC_ON_BEGIN | GC_ON_END | GC_ON_LIMIT, count_event, n_events) == 0);
    unsigned begin = events_of(1), end = events_of(2);
    interface_collect();
    TEST_CHECK(events_of(1) >= begin + 1 && events_of(2) >= end + 1);
    fill_up_to_limit();
    for (int i = 0; i < 1000 && events_of(4) == 0; i++) {
        gc_run_finalizers();
        usleep(1000);
    }
    TEST_CHECK(events_of(4) > 0);
    TEST_CHECK(gc_on_event(GC_ON_END, collecting_listener, NULL) == 0);
    interface_collect();
    TEST_CHECK(gc_off_event(collecting_listener, NULL) == 0 && gc_off_event(collecting_listener, NULL) == EINVAL);
    TEST_CHECK(gc_off_event(count_event, n_events) == 0);
    begin = events_of(1);
    interface_collect();
    TEST_CHECK(events_of(1) == begin);
}

static void the_table_of_events_has_an_end(void)
{
    static unsigned counts[17][8];
    for (int i = 0; i < 16; i++)
        TEST_CHECK(gc_on_event(GC_ON_BEGIN, count_event, counts[i]) == 0);
    TEST_CHECK(gc_on_event(GC_ON_BEGIN, count_event, counts[16]) == ENOMEM);
    interface_collect();
    for (int i = 0; i < 16; i++)
        TEST_CHECK(counts[i][1] >= 1 && gc_off_event(count_event, counts[i]) == 0);
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
        f->is_malloc = block->is_malloc;
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
    events_are_told();
    the_table_of_events_has_an_end();
    walks_see_each_block_once();
    walks_go_on_beside_other_threads();
    return 0;
}
