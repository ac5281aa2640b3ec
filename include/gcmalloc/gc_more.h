/* gc_more.h: the second half of gc.h, which includes it: disappearing links, events, figures, threads, and the macros that
 * most programs use. */
#ifndef GCMALLOC_BOEHM_GC_MORE_H
#define GCMALLOC_BOEHM_GC_MORE_H

#include <stdio.h>
#include "gc.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- disappearing links ------------------------------------------------------------------------------------ */

GCM_BOEHM_FN int gcm_boehm_link(void **link, const void *obj, unsigned flags)
{
    int error = gc_weak_link(link, (void *)(size_t)obj, flags), is_there = error == EEXIST;

    if (is_there) {
        gc_weak_unlink(link);
        error = gc_weak_link(link, (void *)(size_t)obj, flags);
    }
    if (error != 0)
        return error == ENOMEM ? GC_NO_MEMORY : GC_UNIMPLEMENTED;
    return is_there ? GC_DUPLICATE : GC_SUCCESS;
}
GCM_BOEHM_FN int GC_general_register_disappearing_link(void **link, const void *obj)
{
    return gcm_boehm_link(link, obj, 0);
}
GCM_BOEHM_FN int GC_register_disappearing_link(void **link)
{
    return gcm_boehm_link(link, GC_base((void *)link), 0);
}
GCM_BOEHM_FN int GC_register_long_link(void **link, const void *obj)
{
    return gcm_boehm_link(link, obj, GC_WEAK_LONG);
}
GCM_BOEHM_FN int GC_unregister_disappearing_link(void **link)
{
    return gc_weak_unlink(link) == 0;
}
GCM_BOEHM_FN int GC_unregister_long_link(void **link)
{
    return gc_weak_unlink(link) == 0;
}
GCM_BOEHM_FN int GC_move_disappearing_link(void **link, void **new_link)
{
    int error = gc_weak_move(link, new_link);

    if (error == EEXIST)
        return link == new_link ? GC_SUCCESS : GC_DUPLICATE;
    return error == 0 ? GC_SUCCESS : error == ENOMEM ? GC_NO_MEMORY : GC_NOT_FOUND;
}
GCM_BOEHM_FN int GC_move_long_link(void **link, void **new_link)
{
    return GC_move_disappearing_link(link, new_link);
}

/* ---- events: as gc_on_event tells them ---------------------------------------------------------------------- */

GCM_BOEHM_FN void gcm_boehm_tell(int event, void *arg)
{
    (void)arg;
    if (event == GC_ON_BEGIN && gcm_boehm.start_callback != NULL)
        gcm_boehm.start_callback();
    if (gcm_boehm.on_collection_event != NULL)
        gcm_boehm.on_collection_event(event == GC_ON_BEGIN ? GC_EVENT_START : GC_EVENT_END);
    if (event == GC_ON_END && gcm_boehm.finalizer_notifier != NULL && GC_should_invoke_finalizers())
        gcm_boehm.finalizer_notifier();
}
GCM_BOEHM_FN void gcm_boehm_listen(void)
{
    if (__atomic_exchange_n(&gcm_boehm.is_listening, 1, __ATOMIC_SEQ_CST) == 0)
        gc_on_event(GC_ON_BEGIN | GC_ON_END, gcm_boehm_tell, NULL);
}
#define GCM_BOEHM_CALLBACK(type, name)                                                                       \
    GCM_BOEHM_FN void GC_set_##name(type fn)                                                                 \
    {                                                                                                        \
        gcm_boehm.name = fn;                                                                                 \
        gcm_boehm_listen();                                                                                  \
    }                                                                                                        \
    GCM_BOEHM_FN type GC_get_##name(void)                                                                    \
    {                                                                                                        \
        return gcm_boehm.name;                                                                               \
    }
GCM_BOEHM_CALLBACK(GC_on_collection_event_proc, on_collection_event)
GCM_BOEHM_CALLBACK(GC_start_callback_proc, start_callback)
GCM_BOEHM_CALLBACK(GC_finalizer_notifier_proc, finalizer_notifier)

/* ---- figures ----------------------------------------------------------------------------------------------- */

struct GC_prof_stats_s {
    GC_word heapsize_full, free_bytes_full, unmapped_bytes, bytes_allocd_since_gc, allocd_bytes_before_gc;
    GC_word non_gc_bytes, gc_no, markers_m1, bytes_reclaimed_since_gc, reclaimed_bytes_before_gc;
    GC_word expl_freed_bytes_since_gc, obtained_from_os_bytes;
};
/* What was allocated is not counted, so: what is in use and what was reclaimed; frees by the program are left out. What is
 * known since the last collection is 0. */
GCM_BOEHM_FN size_t GC_get_prof_stats(struct GC_prof_stats_s *out, size_t size)
{
    struct GC_prof_stats_s all;
    struct gc_stats s;

    memset(&all, 0, sizeof(all));
    memset(&s, 0, sizeof(s));
    gc_get_stats(&s, sizeof(s));
    all.heapsize_full = s.heap_committed_bytes;
    all.free_bytes_full = s.heap_committed_bytes - s.heap_used_bytes;
    all.unmapped_bytes = s.heap_purged_bytes;
    all.allocd_bytes_before_gc = s.heap_used_bytes + s.n_bytes_reclaimed;
    all.non_gc_bytes = gcm_boehm.non_gc_bytes;
    all.gc_no = s.n_cycles;
    all.reclaimed_bytes_before_gc = s.n_bytes_reclaimed;
    all.obtained_from_os_bytes = s.heap_committed_bytes + s.metadata_bytes;
    if (size > sizeof(all))
        memset((char *)out + sizeof(all), 0xff, size - sizeof(all));
    memcpy(out, &all, size < sizeof(all) ? size : sizeof(all));
    return size < sizeof(all) ? size : sizeof(all);
}
#define GC_get_prof_stats_unsafe GC_get_prof_stats
/* Of pauses, in milliseconds. */
GCM_BOEHM_FN unsigned long GC_get_full_gc_total_time(void)
{
    struct gc_stats s;

    return gc_get_stats(&s, sizeof(s)) == 0 ? (unsigned long)(s.pause_ns_total / 1000000) : 0;
}
/* What so many bytes become. */
GCM_BOEHM_FN size_t GC_get_size_map_at(int i)
{
    return i < 0 ? (size_t)-1 : gc_good_size((size_t)i);
}
GCM_BOEHM_FN struct GC_prof_stats_s gcm_boehm_stats(void)
{
    struct GC_prof_stats_s s;

    GC_get_prof_stats(&s, sizeof(s));
    return s;
}
#define GCM_BOEHM_FIGURE(name, value)                                                                        \
    GCM_BOEHM_FN size_t name(void)                                                                           \
    {                                                                                                        \
        struct GC_prof_stats_s s = gcm_boehm_stats();                                                        \
        return (size_t)(value);                                                                              \
    }
GCM_BOEHM_FIGURE(GC_get_heap_size, s.heapsize_full - s.unmapped_bytes)
GCM_BOEHM_FIGURE(GC_get_free_bytes, s.free_bytes_full > s.unmapped_bytes ? s.free_bytes_full - s.unmapped_bytes : 0)
GCM_BOEHM_FIGURE(GC_get_unmapped_bytes, s.unmapped_bytes)
GCM_BOEHM_FIGURE(GC_get_bytes_since_gc, s.bytes_allocd_since_gc)
GCM_BOEHM_FIGURE(GC_get_expl_freed_bytes_since_gc, s.expl_freed_bytes_since_gc)
GCM_BOEHM_FIGURE(GC_get_total_bytes, s.allocd_bytes_before_gc)
GCM_BOEHM_FIGURE(GC_get_obtained_from_os_bytes, s.obtained_from_os_bytes)
GCM_BOEHM_FIGURE(GC_get_memory_use, s.heapsize_full - s.free_bytes_full)
GCM_BOEHM_FIGURE(GC_get_gc_no, s.gc_no)
GCM_BOEHM_FN void GC_get_heap_usage_safe(GC_word *heap, GC_word *free_bytes, GC_word *unmapped, GC_word *since,
                                         GC_word *total)
{
    struct GC_prof_stats_s s = gcm_boehm_stats();
    GC_word unused, *to[5] = {heap, free_bytes, unmapped, since, total};
    const GC_word from[5] = {s.heapsize_full - s.unmapped_bytes, s.free_bytes_full - s.unmapped_bytes, s.unmapped_bytes,
                             s.bytes_allocd_since_gc, s.allocd_bytes_before_gc};
    int i;

    for (i = 0; i < 5; i++)
        *(to[i] != NULL ? to[i] : &unused) = from[i];
}
GCM_BOEHM_FN void GC_dump(void)
{
    malloc_stats();
}

/* ---- what is done anyway, or has no meaning here ------------------------------------------------------------ */

#define GCM_BOEHM_NOTHING(name, parameters)                                                                  \
    GCM_BOEHM_FN void name parameters                                                                        \
    {                                                                                                        \
    }
#define GCM_BOEHM_ANSWER(name, parameters, answer)                                                           \
    GCM_BOEHM_FN int name parameters                                                                         \
    {                                                                                                        \
        return answer;                                                                                       \
    }
GCM_BOEHM_NOTHING(GC_init, (void))
GCM_BOEHM_NOTHING(GC_deinit, (void))
GCM_BOEHM_NOTHING(GC_enable_incremental, (void))
GCM_BOEHM_NOTHING(GC_start_incremental_collection, (void))
GCM_BOEHM_NOTHING(GC_start_mark_threads, (void))
GCM_BOEHM_NOTHING(GC_start_performance_measurement, (void))
GCM_BOEHM_NOTHING(GC_set_markers_count, (unsigned n __attribute__((unused))))
GCM_BOEHM_NOTHING(GC_set_handle_fork, (int value __attribute__((unused))))
GCM_BOEHM_NOTHING(GC_set_log_fd, (int fd __attribute__((unused))))
GCM_BOEHM_NOTHING(GC_atfork_prepare, (void))
GCM_BOEHM_NOTHING(GC_atfork_parent, (void))
GCM_BOEHM_NOTHING(GC_atfork_child, (void))
GCM_BOEHM_NOTHING(GC_allow_register_threads, (void))
GCM_BOEHM_NOTHING(GC_use_threads_discovery, (void))
GCM_BOEHM_NOTHING(GC_clear_roots, (void))
GCM_BOEHM_NOTHING(GC_register_altstack, (void *stack __attribute__((unused)), GC_word size __attribute__((unused)),
                                         void *alt __attribute__((unused)), GC_word alt_size __attribute__((unused))))
GCM_BOEHM_NOTHING(GC_register_has_static_roots_callback, (GC_has_static_roots_func fn __attribute__((unused))))
GCM_BOEHM_NOTHING(GC_set_stackbottom, (void *thread __attribute__((unused)),
                                       const struct GC_stack_base *base __attribute__((unused))))
GCM_BOEHM_NOTHING(GC_register_displacement, (size_t offset __attribute__((unused))))
GCM_BOEHM_NOTHING(GC_end_stubborn_change, (const void *p __attribute__((unused))))
GCM_BOEHM_NOTHING(GC_reachable_here, (const void *p __attribute__((unused))))
GCM_BOEHM_NOTHING(GC_noop1, (GC_word x __attribute__((unused))))
GCM_BOEHM_ANSWER(GC_is_init_called, (void), 1)
GCM_BOEHM_ANSWER(GC_is_incremental_mode, (void), 0)
GCM_BOEHM_ANSWER(GC_incremental_protection_needs, (void), 0)
GCM_BOEHM_ANSWER(GC_collect_a_little, (void), 0)
GCM_BOEHM_ANSWER(GC_get_parallel, (void), 0)
GCM_BOEHM_ANSWER(GC_expand_hp, (size_t n __attribute__((unused))), 1)
GCM_BOEHM_ANSWER(GC_thread_is_registered, (void), 1)
GCM_BOEHM_ANSWER(GC_register_my_thread, (const struct GC_stack_base *base __attribute__((unused))), GC_SUCCESS)
GCM_BOEHM_ANSWER(GC_unregister_my_thread, (void), GC_SUCCESS)
GCM_BOEHM_FN unsigned GC_get_version(void)
{
    return GC_VERSION_MAJOR << 16 | GC_VERSION_MINOR << 8 | GC_VERSION_MICRO;
}
GCM_BOEHM_FN int GC_get_stack_base(struct GC_stack_base *base)
{
    base->mem_base = __builtin_frame_address(0);
    return GC_SUCCESS;
}
/* A handle of the thread, for GC_set_stackbottom. */
GCM_BOEHM_FN void *GC_get_my_stackbottom(struct GC_stack_base *base)
{
    GC_get_stack_base(base);
    return &gcm_boehm;
}
GCM_BOEHM_FN void *GC_call_with_stack_base(GC_stack_base_func fn, void *arg)
{
    struct GC_stack_base base = {__builtin_frame_address(0)};

    return fn(&base, arg);
}
GCM_BOEHM_FN void *GC_do_blocking(GC_fn_type fn, void *arg)
{
    return fn(arg);
}
GCM_BOEHM_FN void *GC_call_with_gc_active(GC_fn_type fn, void *arg)
{
    return fn(arg);
}
GCM_BOEHM_FN void GC_ptr_store_and_dirty(void *p, const void *q)
{
    *(const void **)p = q;
}
GCM_BOEHM_FN void *GC_same_obj(void *p, void *q)
{
    if (GC_base(p) == GC_base(q))
        return p;
    if (gcm_boehm.same_obj_print_proc == NULL)
        abort();
    gcm_boehm.same_obj_print_proc(p, q);
    return p;
}
GCM_BOEHM_FN void *GC_pre_incr(void **p, ptrdiff_t how_much)
{
    char *before = (char *)*p;

    *p = GC_same_obj(before + how_much, before);
    return *p;
}
GCM_BOEHM_FN void *GC_post_incr(void **p, ptrdiff_t how_much)
{
    void *before = *p;

    GC_pre_incr(p, how_much);
    return before;
}
GCM_BOEHM_FN void GC_abort_on_oom(void)
{
    static const char text[] = "Insufficient memory for the allocation\n";

    if (gcm_boehm.abort_func != NULL)
        gcm_boehm.abort_func(text);
    else
        fputs(text, stderr);
    abort();
}
GCM_BOEHM_FN void *GC_is_visible(void *p)
{
    return p;
}
GCM_BOEHM_FN void *GC_is_valid_displacement(void *p)
{
    return p;
}

/* ---- macros ------------------------------------------------------------------------------------------------ */

#define GC_INIT() ((void)0)
#define GC_MALLOC(n) GC_malloc(n)
#define GC_MALLOC_ATOMIC(n) GC_malloc_atomic(n)
#define GC_MALLOC_UNCOLLECTABLE(n) GC_malloc_uncollectable(n)
#define GC_MALLOC_ATOMIC_UNCOLLECTABLE(n) GC_malloc_atomic_uncollectable(n)
#define GC_MALLOC_STUBBORN(n) GC_malloc(n)
#define GC_MALLOC_IGNORE_OFF_PAGE(n) GC_malloc(n)
#define GC_MALLOC_ATOMIC_IGNORE_OFF_PAGE(n) GC_malloc_atomic(n)
#define GC_malloc_stubborn GC_malloc
#define GC_malloc_ignore_off_page GC_malloc
#define GC_malloc_atomic_ignore_off_page GC_malloc_atomic
#define GC_REALLOC(p, n) GC_realloc(p, n)
#define GC_FREE(p) GC_free(p)
#define GC_STRDUP(s) GC_strdup(s)
#define GC_STRNDUP(s, n) GC_strndup(s, n)
#define GC_WCSDUP(s) GC_wcsdup(s)
#define GC_NEW(t) ((t *)GC_MALLOC(sizeof(t)))
#define GC_NEW_ATOMIC(t) ((t *)GC_MALLOC_ATOMIC(sizeof(t)))
#define GC_NEW_STUBBORN(t) GC_NEW(t)
#define GC_NEW_UNCOLLECTABLE(t) ((t *)GC_MALLOC_UNCOLLECTABLE(sizeof(t)))
#define GC_REGISTER_FINALIZER(p, f, d, of, od) GC_register_finalizer(p, f, d, of, od)
#define GC_REGISTER_FINALIZER_IGNORE_SELF(p, f, d, of, od) GC_register_finalizer_ignore_self(p, f, d, of, od)
#define GC_REGISTER_FINALIZER_NO_ORDER(p, f, d, of, od) GC_register_finalizer_no_order(p, f, d, of, od)
#define GC_REGISTER_FINALIZER_UNREACHABLE(p, f, d, of, od) GC_register_finalizer_unreachable(p, f, d, of, od)
#define GC_GENERAL_REGISTER_DISAPPEARING_LINK(link, obj) GC_general_register_disappearing_link(link, obj)
#define GC_REGISTER_LONG_LINK(link, obj) GC_register_long_link(link, obj)
#define GC_REGISTER_DISPLACEMENT(n) GC_register_displacement(n)
#define GC_END_STUBBORN_CHANGE(p) GC_end_stubborn_change(p)
#define GC_CHANGE_STUBBORN(p) ((void)(p))
#define GC_change_stubborn(p) GC_CHANGE_STUBBORN(p)
#define GC_PRE_INCR(p, n) ((p) += (n))
#define GC_POST_INCR(p) ((p)++)
#define GC_POST_DECR(p) ((p)--)
#define GC_PROTECTS_NONE 0
#define GC_PROTECTS_POINTER_HEAP 1
#define GC_PROTECTS_PTRFREE_HEAP 2
#define GC_PROTECTS_STATIC_DATA 4
#define GC_PROTECTS_STACK 8
#define GC_dlopen(path, mode) dlopen(path, mode)
#define GC_HIDE_POINTER(p) (~(GC_hidden_pointer)(p))
#define GC_REVEAL_POINTER(p) ((void *)GC_HIDE_POINTER(p))
#define GC_PTR_ADD(p, n) ((p) + (n))
#define GC_PTR_STORE(p, q) (*(void **)(p) = (void *)(q))
#define GC_PTR_STORE_AND_DIRTY(p, q) GC_ptr_store_and_dirty(p, q)
#define GC_debug_malloc(n, ...) GC_malloc(n)
#define GC_debug_malloc_atomic(n, ...) GC_malloc_atomic(n)
#define GC_debug_malloc_stubborn(n, ...) GC_malloc(n)
#define GC_debug_malloc_ignore_off_page(n, ...) GC_malloc(n)
#define GC_debug_malloc_atomic_ignore_off_page(n, ...) GC_malloc_atomic(n)
#define GC_debug_malloc_replacement(n) GC_malloc(n)
#define GC_debug_realloc_replacement(p, n) GC_realloc(p, n)
#define GC_debug_malloc_atomic_uncollectable(n, ...) GC_malloc_atomic_uncollectable(n)
#define GC_debug_strndup(s, n, ...) GC_strndup(s, n)
#define GC_debug_change_stubborn(p) GC_CHANGE_STUBBORN(p)
#define GC_debug_end_stubborn_change(p) GC_end_stubborn_change(p)
#define GC_debug_ptr_store_and_dirty(p, q) GC_ptr_store_and_dirty(p, q)
#define GC_debug_register_displacement(n) GC_register_displacement(n)
#define GC_debug_register_finalizer_unreachable GC_register_finalizer_unreachable
#define GC_debug_malloc_uncollectable(n, ...) GC_malloc_uncollectable(n)
#define GC_debug_realloc(p, n, ...) GC_realloc(p, n)
#define GC_debug_strdup(s, ...) GC_strdup(s)
#define GC_debug_free(p) GC_free(p)
#define GC_debug_register_finalizer GC_register_finalizer
#define GC_debug_register_finalizer_no_order GC_register_finalizer_no_order
#define GC_debug_register_finalizer_ignore_self GC_register_finalizer_ignore_self
#define GC_pthread_create pthread_create
#define GC_pthread_join pthread_join
#define GC_pthread_detach pthread_detach
#define GC_pthread_exit pthread_exit
#define GC_pthread_cancel pthread_cancel
#define GC_pthread_sigmask pthread_sigmask

#ifdef __cplusplus
}
#endif

#endif
