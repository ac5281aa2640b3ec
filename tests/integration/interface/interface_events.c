/* gc_on_event: what is told, in which thread, in which order, and what the functions that are told may do. */
#include "interface.h"

#include <pthread.h>

static void hear_nothing(int event, void *arg)
{
    (void)event;
    (void)arg;
}

static void errors_are_told(void)
{
    TEST_CHECK(gc_on_event(0, hear_nothing, NULL) == EINVAL && gc_on_event(8, hear_nothing, NULL) == EINVAL);
    TEST_CHECK(gc_on_event(GC_ON_END | 16, hear_nothing, NULL) == EINVAL && gc_on_event(GC_ON_END, NULL, NULL) == EINVAL);
    TEST_CHECK(gc_off_event(hear_nothing, NULL) == EINVAL && gc_off_event(NULL, NULL) == EINVAL);
}

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

/* ---- of collections that the program asks for ---- */

static pthread_t asker;
static int order[4], n_order;
static void note_order(int event, void *arg)
{
    (void)arg;
    TEST_CHECK(pthread_equal(pthread_self(), asker));
    if (n_order < 4)
        order[n_order++] = event;
}

static void of_gc_collect_the_caller_is_told(void)
{
    asker = pthread_self();
    TEST_CHECK(gc_on_event(GC_ON_BEGIN | GC_ON_END, note_order, NULL) == 0);
    for (int is_inhibited = 0; is_inhibited < 2; is_inhibited++) {
        n_order = 0;
        if (is_inhibited)
            gc_inhibit();
        gc_collect();
        if (is_inhibited)
            gc_uninhibit();
        TEST_CHECK(n_order == 2 && order[0] == GC_ON_BEGIN && order[1] == GC_ON_END);
    }
    TEST_CHECK(gc_off_event(note_order, NULL) == 0);
}

/* Without an end, if its own collections were told to it. */
static void collect_again(int event, void *arg)
{
    (void)event;
    __atomic_add_fetch((int *)arg, 1, __ATOMIC_SEQ_CST);
    gc_collect();
    TEST_CHECK(gc_collect_level(GC_FULL_EAGER) == 0);
    gc_run_finalizers();
}

static void what_a_listener_collects_is_not_told(void)
{
    static int n; /* 2 more where the thread has yet to tell of a collection before */
    TEST_CHECK(gc_on_event(GC_ON_BEGIN | GC_ON_END, collect_again, &n) == 0);
    gc_collect();
    TEST_CHECK(n >= 2 && n <= 4);
    for (int i = 0; i < 20; i++)
        gc_run_finalizers();
    usleep(20000);
    TEST_CHECK(gc_off_event(collect_again, &n) == 0);
    TEST_CHECK(n <= 4);
}

/* A pool that nobody drops is kept by arg. */
static NOINLINE void listen_with_hidden_arg(void)
{
    char *pool = gc_malloc(64, 0);
    strcpy(pool, "kept");
    interface_hide(0, pool);
    TEST_CHECK(gc_on_event(GC_ON_LIMIT, hear_nothing, pool) == 0);
}

static void arg_is_kept(void)
{
    listen_with_hidden_arg();
    interface_collect();
    char *pool = gc_find_object((void *)~interface_hidden[0], NULL);
    TEST_CHECK(pool != NULL && strcmp(pool, "kept") == 0 && gc_off_event(hear_nothing, pool) == 0);
}

/* ---- of collections that allocations bring about ---- */

static bool is_stressed(void)
{
    return getenv("GCMALLOC") != NULL && strstr(getenv("GCMALLOC"), "stress") != NULL;
}

/* What waits to be told is for those who listened when it happened. */
static void what_was_before_is_not_told(void)
{
    static unsigned before[8], after[8];
    if (is_stressed())
        return;
    gc_set_finalizer_thread(0);
    TEST_CHECK(gc_on_event(GC_ON_END | GC_ON_LIMIT, count_event, before) == 0);
    fill_up_to_limit();
    TEST_CHECK(gc_off_event(count_event, before) == 0);
    TEST_CHECK(gc_on_event(GC_ON_END | GC_ON_LIMIT, count_event, after) == 0);
    gc_run_finalizers();
    TEST_CHECK(after[GC_ON_END] == 0 && after[GC_ON_LIMIT] == 0);
    fill_up_to_limit();
    gc_run_finalizers();
    TEST_CHECK(after[GC_ON_END] == 1 && after[GC_ON_LIMIT] == 1 && before[GC_ON_LIMIT] == 0);
    TEST_CHECK(gc_off_event(count_event, after) == 0);
    gc_set_finalizer_thread(1);
}

static uint64_t n_cycles(void)
{
    struct gc_stats stats;
    TEST_CHECK(gc_get_stats(&stats, sizeof(stats)) == 0);
    return stats.n_cycles;
}

static struct {
    uint64_t n_cycles_at_begin;
    int n_begin, n_end, n_in_time;
} pool;
static void drop_caches(int event, void *arg)
{
    (void)arg;
    if (event == GC_ON_BEGIN) {
        pool.n_begin++;
        pool.n_cycles_at_begin = n_cycles();
        return;
    }
    TEST_CHECK(pool.n_begin > pool.n_end);
    pool.n_end++;
    pool.n_in_time += pool.n_cycles_at_begin < n_cycles();
}

/* The program runs what is due often, so BEGIN comes before each collection by growth. */
static void beginnings_are_told_in_time(void)
{
    gc_set_finalizer_thread(0);
    gc_collect(); /* or the beginning of the next may be past */
    TEST_CHECK(gc_on_event(GC_ON_BEGIN | GC_ON_END, drop_caches, NULL) == 0);
    for (int i = 0; i < 5000 && pool.n_end < 6; i++) {
        memset(gc_malloc(32768, GC_NOSCAN | GC_NOZERO), 1, 32768);
        gc_run_finalizers();
    }
    TEST_CHECK(gc_off_event(drop_caches, NULL) == 0);
    gc_set_finalizer_thread(1);
    if (pool.n_end < 6 || (!is_stressed() && pool.n_in_time < 5))
        TEST_FAIL("%d beginnings, %d ends, %d in time", pool.n_begin, pool.n_end, pool.n_in_time);
}

int main(void)
{
    errors_are_told();
    events_are_told();
    the_table_of_events_has_an_end();
    of_gc_collect_the_caller_is_told();
    what_a_listener_collects_is_not_told();
    arg_is_kept();
    what_was_before_is_not_told();
    beginnings_are_told_in_time();
    return 0;
}
