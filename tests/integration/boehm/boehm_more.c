/* A program for libgc: the rest of the interface that has an effect to be seen. Strict C99, as such programs may be. */
#define GC_THREADS
#include <gc/gc.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { N_THREADS = 4, N_STEPS = 20000 };
static unsigned long total;

static void *add_locked(void *arg)
{
    int i;
    for (i = 0; i < N_STEPS; i++) {
        GC_alloc_lock();
        total++;
        GC_alloc_unlock();
    }
    return arg;
}

static void *add_in_call(void *arg)
{
    total += *(unsigned long *)arg;
    return arg;
}

static void locks(void)
{
    pthread_t id[N_THREADS];
    unsigned long more = 5;
    int i;
    for (i = 0; i < N_THREADS; i++)
        pthread_create(&id[i], NULL, add_locked, NULL);
    for (i = 0; i < N_THREADS; i++)
        pthread_join(id[i], NULL);
    printf("locked: %d", GC_call_with_alloc_lock(add_in_call, &more) == &more);
    printf(" %lu\n", total);
}

static void *garbage;
static void automatic_collection(void)
{
    GC_word before;
    int i;
    GC_set_disable_automatic_collection(1);
    before = GC_get_gc_no();
    for (i = 0; i < 2000; i++)
        memset(garbage = GC_MALLOC_ATOMIC(65536), 1, 65536);
    printf("automatic: %d, none: %d\n", !GC_get_disable_automatic_collection(), GC_get_gc_no() == before);
    GC_set_disable_automatic_collection(0);
    for (i = 0; i < 4000; i++)
        memset(garbage = GC_MALLOC_ATOMIC(65536), 1, 65536);
    printf("automatic: %d, some: %d\n", !GC_get_disable_automatic_collection(), GC_get_gc_no() > before);
}

static void pointers(void)
{
    char *p = GC_MALLOC(100), *at = p;
    void **where = (void **)&at;
    printf("before: %d", GC_post_incr(where, 10) == p);
    printf(" %d", GC_pre_incr(where, 20) == p + 30);
    printf(" %d\n", GC_POST_INCR(at) == p + 30 && GC_PRE_INCR(at, 2) == p + 33 && GC_POST_DECR(at) == p + 33);
    printf("visible: %d %d\n", GC_is_visible(where) == where, GC_same_obj(p, p + 50) == p);
}

static void sizes_and_texts(void)
{
    void *p = NULL;
    char raw[3] = {'a', 'b', 'c'};
    printf("memalign: %d %d", GC_posix_memalign(&p, 12, 10) == EINVAL, GC_posix_memalign(&p, 3, 10) == EINVAL);
    printf(" %d %d\n", GC_posix_memalign(&p, 128, 10), (uintptr_t)p % 128 == 0);
    printf("text without an end: %s, cut: %s\n", GC_STRNDUP(raw, 3), GC_STRNDUP("abcdef", 2));
    printf("sizes: %d\n", GC_get_size_map_at(100) >= 100 && GC_get_size_map_at(100) < 200);
}

static int is_never(void)
{
    return 1;
}

static void stacks_and_settings(void)
{
    struct GC_stack_base base;
    struct GC_timeval_s tv;
    struct GC_prof_stats_s stats;
    void *thread = GC_get_my_stackbottom(&base);
    printf("stack: %d %d\n", thread != NULL, base.mem_base != NULL);
    GC_set_stackbottom(thread, &base);
    tv.tv_ms = 30;
    tv.tv_nsec = 5;
    GC_set_time_limit_tv(tv);
    printf("time: %lu\n", GC_get_time_limit_tv().tv_ms);
    printf("stopped: %d\n", GC_try_to_collect(is_never));
    printf("figures: %d", GC_get_prof_stats(&stats, sizeof stats) == sizeof stats);
    printf(" %d\n", stats.gc_no > 0);
    GC_start_performance_measurement();
    GC_gcollect();
    printf("total time: %d\n", GC_get_full_gc_total_time() < 100000);
}

int main(void)
{
    GC_INIT();
    locks();
    automatic_collection();
    pointers();
    sizes_and_texts();
    stacks_and_settings();
    return 0;
}
