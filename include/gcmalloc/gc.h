/* gc.h: programs written for the Boehm collector (libgc 8.2), on libgcmalloc.
 *
 * Inline functions and macros over gcmalloc.h; libgcmalloc itself has no GC_* symbol, so a real libgc may be in the same
 * process. Compile with -I<prefix>/include/gcmalloc, which serves <gc.h> and <gc/gc.h>, and link -lgcmalloc; what only
 * looks for a symbol GC_malloc (a configure script) may link -lgcmalloc_boehm before it.
 *
 * As in libgc, finalizers run in the threads of the program: in GC_gcollect and GC_invoke_finalizers, and now and then in
 * GC_malloc, unless GC_finalize_on_demand is set. Settings that have no meaning here keep what was set and do nothing.
 * What is missing is listed in the README.
 */
#ifndef GCMALLOC_BOEHM_GC_H
#define GCMALLOC_BOEHM_GC_H

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include "../gcmalloc.h"
#include "gc_version.h"

/* The archive defines these functions with external linkage. */
#ifndef GCM_BOEHM_FN
#define GCM_BOEHM_FN static inline __attribute__((unused))
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef void *GC_PTR;
typedef unsigned long GC_word;
typedef long GC_signed_word;
typedef GC_word GC_hidden_pointer;
typedef void *(*GC_oom_func)(size_t size);
typedef void (*GC_warn_proc)(char *message, GC_word arg);
typedef void (*GC_abort_func)(const char *message);
typedef void (*GC_finalization_proc)(void *obj, void *client_data);
typedef void (*GC_finalizer_notifier_proc)(void);
typedef void (*GC_on_heap_resize_proc)(GC_word new_size);
typedef int (*GC_stop_func)(void);
typedef void *(*GC_fn_type)(void *arg);
typedef enum {
    GC_EVENT_START,
    GC_EVENT_MARK_START,
    GC_EVENT_MARK_END,
    GC_EVENT_RECLAIM_START,
    GC_EVENT_RECLAIM_END,
    GC_EVENT_END,
    GC_EVENT_PRE_STOP_WORLD,
    GC_EVENT_POST_STOP_WORLD,
    GC_EVENT_PRE_START_WORLD,
    GC_EVENT_POST_START_WORLD,
    GC_EVENT_THREAD_SUSPENDED,
    GC_EVENT_THREAD_UNSUSPENDED
} GC_EventType;
typedef void (*GC_on_collection_event_proc)(GC_EventType);
typedef void (*GC_start_callback_proc)(void);
struct GC_stack_base {
    void *mem_base;
};
typedef void *(*GC_stack_base_func)(struct GC_stack_base *base, void *arg);
typedef int (*GC_has_static_roots_func)(const char *name, void *start, size_t size);
struct GC_timeval_s {
    unsigned long tv_ms, tv_nsec;
};

#define GC_SUCCESS 0
#define GC_DUPLICATE 1
#define GC_NO_MEMORY 2
#define GC_UNIMPLEMENTED 3
#define GC_NOT_FOUND 4
#define GC_TIME_UNLIMITED 999999
#define GC_CALL
#define GC_CALLBACK
#define GC_API extern
#define GC_ATTR_MALLOC
#define GC_ATTR_ALLOC_SIZE(n)
#define GC_ATTR_CALLOC_SIZE(n, size)
#define GC_ATTR_NONNULL(n)
#define GC_ATTR_CONST
#define GC_ATTR_DEPRECATED

/* ---- settings: one object for the whole program, whoever includes this ------------------------------------ */

struct gcm_boehm {
    GC_oom_func oom_fn;
    GC_warn_proc warn_proc;
    GC_abort_func abort_func;
    GC_stop_func stop_func;
    GC_finalizer_notifier_proc finalizer_notifier;
    GC_on_collection_event_proc on_collection_event;
    GC_start_callback_proc start_callback;
    GC_on_heap_resize_proc on_heap_resize;
    int n_disabled, is_listening;
    pthread_mutex_t alloc_lock; /* all zero: glibc's initial value */
    void (*same_obj_print_proc)(void *p, void *q);
    void (*is_valid_displacement_print_proc)(void *p);
    void (*is_visible_print_proc)(void *p);
    char *stackbottom;
    struct GC_timeval_s time_limit_tv;
    int use_entire_heap;
    int finalize_on_demand, java_finalization, find_leak, dont_expand, dont_precollect, no_dls, parallel;
    int full_freq, pages_executable, force_unmap_on_gcollect, manual_vdb_allowed, not_all_interior_pointers, rate;
    int max_prior_attempts, handle_fork, suspend_signal, thr_restart_signal, disable_automatic_collection;
    GC_word free_space_divisor, non_gc_bytes, max_retries, time_limit, min_bytes_allocd, allocd_bytes_per_finalizer;
};
__attribute__((weak)) struct gcm_boehm gcm_boehm;

#define GCM_BOEHM_SETTING(type, name)                                                                        \
    GCM_BOEHM_FN void GC_set_##name(type value)                                                              \
    {                                                                                                        \
        gcm_boehm.name = value;                                                                              \
    }                                                                                                        \
    GCM_BOEHM_FN type GC_get_##name(void)                                                                    \
    {                                                                                                        \
        return gcm_boehm.name;                                                                               \
    }
GCM_BOEHM_SETTING(GC_oom_func, oom_fn)
GCM_BOEHM_SETTING(GC_warn_proc, warn_proc)
GCM_BOEHM_SETTING(GC_abort_func, abort_func)
GCM_BOEHM_SETTING(GC_stop_func, stop_func)
GCM_BOEHM_SETTING(GC_on_heap_resize_proc, on_heap_resize)
GCM_BOEHM_SETTING(int, finalize_on_demand)
GCM_BOEHM_SETTING(int, java_finalization)
GCM_BOEHM_SETTING(int, find_leak)
GCM_BOEHM_SETTING(int, dont_expand)
GCM_BOEHM_SETTING(int, dont_precollect)
GCM_BOEHM_SETTING(int, no_dls)
GCM_BOEHM_SETTING(int, full_freq)
GCM_BOEHM_SETTING(int, pages_executable)
GCM_BOEHM_SETTING(int, force_unmap_on_gcollect)
GCM_BOEHM_SETTING(int, manual_vdb_allowed)
GCM_BOEHM_SETTING(int, rate)
GCM_BOEHM_SETTING(int, max_prior_attempts)
GCM_BOEHM_SETTING(int, suspend_signal)
GCM_BOEHM_SETTING(int, thr_restart_signal)
GCM_BOEHM_SETTING(GC_word, non_gc_bytes)
GCM_BOEHM_SETTING(GC_word, max_retries)
GCM_BOEHM_SETTING(GC_word, time_limit)
GCM_BOEHM_SETTING(size_t, min_bytes_allocd)
GCM_BOEHM_SETTING(GC_word, allocd_bytes_per_finalizer)
GCM_BOEHM_SETTING(struct GC_timeval_s, time_limit_tv)

#define GC_oom_fn (gcm_boehm.oom_fn)
#define GC_finalize_on_demand (gcm_boehm.finalize_on_demand)
#define GC_java_finalization (gcm_boehm.java_finalization)
#define GC_find_leak (gcm_boehm.find_leak)
#define GC_dont_expand (gcm_boehm.dont_expand)
#define GC_dont_precollect (gcm_boehm.dont_precollect)
#define GC_no_dls (gcm_boehm.no_dls)
#define GC_full_freq (gcm_boehm.full_freq)
#define GC_non_gc_bytes (gcm_boehm.non_gc_bytes)
#define GC_max_retries (gcm_boehm.max_retries)
#define GC_time_limit (gcm_boehm.time_limit)
#define GC_finalizer_notifier (gcm_boehm.finalizer_notifier)
#define GC_on_heap_resize (gcm_boehm.on_heap_resize)
#define GC_use_entire_heap (gcm_boehm.use_entire_heap)
#define GC_stackbottom (gcm_boehm.stackbottom)
#define GC_same_obj_print_proc (gcm_boehm.same_obj_print_proc)
#define GC_is_valid_displacement_print_proc (gcm_boehm.is_valid_displacement_print_proc)
#define GC_is_visible_print_proc (gcm_boehm.is_visible_print_proc)
#define GC_parallel 0
#define GC_dont_gc GC_is_disabled()
#define GC_gc_no GC_get_gc_no()

/* Every pointer into a block keeps it, whatever this says. */
GCM_BOEHM_FN void GC_set_all_interior_pointers(int value)
{
    gcm_boehm.not_all_interior_pointers = !value;
}
GCM_BOEHM_FN int GC_get_all_interior_pointers(void)
{
    return !gcm_boehm.not_all_interior_pointers;
}
/* libgc's default divisor is 3: a collection when about as much was allocated as is alive. */
GCM_BOEHM_FN void gcm_boehm_set_pace(void)
{
    GC_word divisor = gcm_boehm.free_space_divisor;

    if (gcm_boehm.disable_automatic_collection)
        gc_set_percent(-1);
    else
        gc_set_percent(divisor == 0 ? 100 : (int)(300 / (divisor > 300 ? 300 : divisor)));
}
GCM_BOEHM_FN void GC_set_free_space_divisor(GC_word divisor)
{
    gcm_boehm.free_space_divisor = divisor;
    gcm_boehm_set_pace();
}
/* A limit and a lack of memory still bring collections about. */
GCM_BOEHM_FN void GC_set_disable_automatic_collection(int value)
{
    gcm_boehm.disable_automatic_collection = value;
    gcm_boehm_set_pace();
}
GCM_BOEHM_FN int GC_get_disable_automatic_collection(void)
{
    return gcm_boehm.disable_automatic_collection;
}
GCM_BOEHM_FN GC_word GC_get_free_space_divisor(void)
{
    return gcm_boehm.free_space_divisor != 0 ? gcm_boehm.free_space_divisor : 3;
}
GCM_BOEHM_FN void GC_set_max_heap_size(GC_word size)
{
    gc_set_limit(size);
}
GCM_BOEHM_FN void GC_ignore_warn_proc(char *message, GC_word arg)
{
    (void)message, (void)arg;
}

/* ---- allocating -------------------------------------------------------------------------------------------- */

GCM_BOEHM_FN int GC_invoke_finalizers(void)
{
    return (int)gc_run_finalizers();
}

/* libgc runs finalizers where memory is asked for, too: here at every 256th call of a thread. */
GCM_BOEHM_FN void gcm_boehm_now_and_then(void)
{
    static __thread unsigned n_calls;

    if (__builtin_expect(++n_calls % 256 == 0, 0) && !gcm_boehm.finalize_on_demand)
        GC_invoke_finalizers();
}

GCM_BOEHM_FN void *gcm_boehm_alloc(size_t size, unsigned flags)
{
    void *p = gc_malloc(size, flags);

    gcm_boehm_now_and_then();
    return __builtin_expect(p != NULL, 1) || gcm_boehm.oom_fn == NULL ? p : gcm_boehm.oom_fn(size);
}
GCM_BOEHM_FN void *GC_malloc(size_t size)
{
    return gcm_boehm_alloc(size, 0);
}
/* Aligned to 16 bytes, whatever the size, as libgc's. */
GCM_BOEHM_FN void *GC_malloc_atomic(size_t size)
{
    return gcm_boehm_alloc(size > 12 ? size : 13, GC_NOSCAN | GC_NOZERO);
}
GCM_BOEHM_FN void *GC_malloc_uncollectable(size_t size)
{
    return gcm_boehm_alloc(size, GC_ROOT);
}
GCM_BOEHM_FN void *GC_malloc_atomic_uncollectable(size_t size)
{
    return gcm_boehm_alloc(size, GC_ROOT | GC_NOSCAN | GC_NOZERO);
}
GCM_BOEHM_FN void GC_free(void *p)
{
    free(p);
}
GCM_BOEHM_FN size_t GC_size(const void *p)
{
    size_t size = 0;

    return gc_find_object(p, &size) != NULL ? size : 0;
}
GCM_BOEHM_FN void *GC_base(void *p)
{
    return gc_find_object(p, NULL);
}
GCM_BOEHM_FN int GC_is_heap_ptr(const void *p)
{
    return gc_find_object(p, NULL) != NULL;
}
/* What is won reads as zero. */
GCM_BOEHM_FN void *GC_realloc(void *p, size_t size)
{
    size_t before = p != NULL ? GC_size(p) : 0, after;
    char *q;

    if (p == NULL)
        return GC_malloc(size);
    if (size == 0) {
        free(p);
        return NULL;
    }
    q = (char *)realloc(p, size);
    if (q == NULL)
        return gcm_boehm.oom_fn != NULL ? gcm_boehm.oom_fn(size) : NULL;
    after = GC_size(q);
    if (after > before)
        memset(q + before, 0, after - before);
    return q;
}
GCM_BOEHM_FN char *GC_strndup(const char *text, size_t n)
{
    const char *end = (const char *)memchr(text, 0, n);
    size_t len = end != NULL ? (size_t)(end - text) : n;
    char *copy = (char *)GC_malloc_atomic(len + 1);

    if (copy != NULL) {
        memcpy(copy, text, len);
        copy[len] = 0;
    }
    return copy;
}
GCM_BOEHM_FN char *GC_strdup(const char *text)
{
    return text != NULL ? GC_strndup(text, strlen(text)) : NULL;
}
GCM_BOEHM_FN wchar_t *GC_wcsdup(const wchar_t *text)
{
    size_t n = (wcslen(text) + 1) * sizeof(wchar_t);
    void *copy = GC_malloc_atomic(n);

    return (wchar_t *)(copy != NULL ? memcpy(copy, text, n) : NULL);
}
GCM_BOEHM_FN int GC_posix_memalign(void **out, size_t align, size_t size)
{
    void *p = NULL;

    if (align % sizeof(void *) != 0 || align == 0 || (align & (align - 1)) != 0)
        return EINVAL;
    p = memalign(align, size);
    if (p == NULL)
        return ENOMEM;
    *out = memset(p, 0, size);
    return 0;
}
GCM_BOEHM_FN void *GC_memalign(size_t align, size_t size)
{
    void *p = NULL;

    return GC_posix_memalign(&p, align < sizeof(void *) ? sizeof(void *) : align, size) == 0 ? p : NULL;
}
/* A list of zeroed objects through their first words. */
#define GC_NEXT(p) (*(void **)(p))
GCM_BOEHM_FN void *GC_malloc_many(size_t size)
{
    void *list = NULL;
    int i;

    for (i = 0; i < 32; i++) {
        void *p = GC_malloc(size < sizeof(void *) ? sizeof(void *) : size);

        if (p == NULL)
            break;
        GC_NEXT(p) = list;
        list = p;
    }
    return list;
}

/* ---- collecting -------------------------------------------------------------------------------------------- */

GCM_BOEHM_FN int GC_try_to_collect(GC_stop_func stop_func)
{
    int is_done;

    if (stop_func != NULL && stop_func())
        return 0;
    is_done = gc_collect_level(GC_FULL) == 0;
    if (!gcm_boehm.finalize_on_demand)
        GC_invoke_finalizers();
    return is_done;
}
GCM_BOEHM_FN void GC_gcollect(void)
{
    GC_try_to_collect(gcm_boehm.stop_func);
}
GCM_BOEHM_FN void GC_gcollect_and_unmap(void)
{
    GC_gcollect();
    gc_trim();
}
GCM_BOEHM_FN void GC_disable(void)
{
    __atomic_add_fetch(&gcm_boehm.n_disabled, 1, __ATOMIC_SEQ_CST);
    gc_inhibit();
}
GCM_BOEHM_FN int GC_is_disabled(void)
{
    return __atomic_load_n(&gcm_boehm.n_disabled, __ATOMIC_SEQ_CST);
}
GCM_BOEHM_FN void GC_enable(void)
{
    if (GC_is_disabled() == 0)
        return;
    gc_uninhibit();
    __atomic_sub_fetch(&gcm_boehm.n_disabled, 1, __ATOMIC_SEQ_CST);
}
GCM_BOEHM_FN void GC_add_roots(void *lo, void *hi_plus_1)
{
    gc_add_roots(lo, (size_t)((char *)hi_plus_1 - (char *)lo));
}
GCM_BOEHM_FN void GC_remove_roots(void *lo, void *hi_plus_1)
{
    gc_remove_roots(lo, (size_t)((char *)hi_plus_1 - (char *)lo));
}
GCM_BOEHM_FN void GC_exclude_static_roots(void *lo, void *hi_plus_1)
{
    gc_exclude_roots(lo, (size_t)((char *)hi_plus_1 - (char *)lo));
}
/* Excludes others that take it; what a hidden pointer leads to is not taken meanwhile. Allocation does not wait for it. */
GCM_BOEHM_FN void GC_alloc_lock(void)
{
    pthread_mutex_lock(&gcm_boehm.alloc_lock);
    gc_inhibit();
}
GCM_BOEHM_FN void GC_alloc_unlock(void)
{
    gc_uninhibit();
    pthread_mutex_unlock(&gcm_boehm.alloc_lock);
}
GCM_BOEHM_FN void *GC_call_with_alloc_lock(GC_fn_type fn, void *arg)
{
    void *result;

    GC_alloc_lock();
    result = fn(arg);
    GC_alloc_unlock();
    return result;
}

/* ---- finalizers -------------------------------------------------------------------------------------------- */

GCM_BOEHM_FN void gcm_boehm_finalizer(void *obj, GC_finalization_proc fn, void *data, unsigned order,
                                      GC_finalization_proc *old_fn, void **old_data)
{
    struct gc_finalizer set = {fn, data, order}, old = {NULL, NULL, 0};

    gc_set_finalizer_thread(0);
    if (fn == NULL)
        gc_exchange_finalizer(obj, NULL, &old);
    else if (gc_exchange_finalizer(obj, &set, &old) == ENOMEM && gcm_boehm.oom_fn != NULL)
        gcm_boehm.oom_fn(sizeof(set));
    if (old_fn != NULL)
        *old_fn = old.fn;
    if (old_data != NULL)
        *old_data = old.arg;
}
#define GCM_BOEHM_FINALIZER(name, order)                                                                     \
    GCM_BOEHM_FN void name(void *obj, GC_finalization_proc fn, void *data, GC_finalization_proc *old_fn,     \
                           void **old_data)                                                                  \
    {                                                                                                        \
        gcm_boehm_finalizer(obj, fn, data, order, old_fn, old_data);                                         \
    }
GCM_BOEHM_FINALIZER(GC_register_finalizer, gcm_boehm.java_finalization ? GC_UNORDERED : GC_ORDERED)
GCM_BOEHM_FINALIZER(GC_register_finalizer_ignore_self, GC_ORDERED_BUT_SELF)
GCM_BOEHM_FINALIZER(GC_register_finalizer_no_order, GC_UNORDERED)
GCM_BOEHM_FINALIZER(GC_register_finalizer_unreachable, GC_UNORDERED)

GCM_BOEHM_FN int GC_should_invoke_finalizers(void)
{
    struct gc_stats s;

    return gc_get_stats(&s, sizeof(s)) == 0 && s.n_finalizers_queued != 0;
}

#include "gc_more.h"

#ifdef __cplusplus
}
#endif

#endif
