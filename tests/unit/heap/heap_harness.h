/* A plain malloc on storey heap, as api does it but without collections: what the heap's tests run on. */
#ifndef TESTS_UNIT_HEAP_HARNESS_H
#define TESTS_UNIT_HEAP_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <pthread.h>
#include <signal.h>
#include <cmocka.h>
#include "base/counters.h"
#include "heap/arena.h"
#include "heap/central.h"
#include "heap/heap.h"
#include "heap/meta.h"
#include "heap/quarantine.h"
#include "heap/tcache_inl.h"
#include "os/critical_inl.h"
#include "os/os.h"
#include "unit_seed.h"

/* qemu-user keeps pages that it is advised to drop, and children of threads that fork hang in it: unproven there. */
static inline void harness_needs_hardware(void)
{
    if (getenv("GCM_EMULATED") != NULL)
        skip();
}

static inline void harness_init(void)
{
    static const struct heap_config config = {.reserve_bytes = 0, .hugepages = ARENA_HUGE_ALWAYS};
    os_critical_enter();
    assert_true(heap_init(&config));
    os_critical_leave();
}

static inline int harness_setup(void **state)
{
    (void)state;
    harness_init();
    return 0;
}

/* The step as malloc's fast path takes it. */
static inline bool harness_step_unwatched(struct tcache *tc, unsigned flavor, unsigned class_no)
{
    uint32_t w;
    struct tcache_set *set = tc->sets[flavor];
    struct tcache_bin *bin = set == NULL || class_no >= tcache_n_bins(set) ? NULL : tcache_bin_of(set, class_no);
    return bin != NULL && tcache_step_find(tc, bin, &w) && tcache_step_to(bin, bin->span, w);
}

static inline void *harness_alloc_class(unsigned flavor, unsigned class_no)
{
    struct tcache *tc = tcache_get();
    void *p = tc == NULL ? NULL : tcache_pop(tc, flavor, class_no);
    if (p == NULL && tc != NULL &&
        (harness_step_unwatched(tc, flavor, class_no) || tcache_step(tc, flavor, class_no) ||
         tcache_refill(tc, flavor, class_no) ||
         tcache_refill_new(tc, flavor, class_no)))
        p = tcache_pop(tc, flavor, class_no);
    return p;
}

static inline void *harness_alloc(size_t size_bytes)
{
    bool is_zero;
    os_critical_enter();
    void *p = size_bytes > SIZECLASS_MAX_SMALL ? heap_large_alloc(size_bytes, 1, FLAVOR_MALLOC, &is_zero)
                                               : harness_alloc_class(FLAVOR_MALLOC, sizeclass_of(size_bytes));
    os_critical_leave();
    return p;
}

/* Takes the owner's fast path where it applies, so that both paths meet in the tests. */
static inline void harness_free(void *p)
{
    uintptr_t addr = (uintptr_t)p;
    os_critical_enter();
    struct span *s = heap_contains(addr) ? span_of_ref(slice_of(addr)->span) : NULL;
    uint32_t idx = s == NULL ? 0 : slice_block_idx(slice_of(addr), (uint32_t)(addr - s->start));
    bool is_ours = s != NULL && __atomic_load_n(&s->fast_owner, __ATOMIC_RELAXED) == tcache_self;
    if (is_ours && idx < s->n_blocks && span_block(s, idx) == addr && !span_is_free(s, idx) && --tcache_self->ticks >= 0)
        span_set_free(&s->words[idx >> 6], s->words[idx >> 6].free | UINT64_C(1) << (idx & 63));
    else
        assert_int_equal(heap_free_as(p, quarantine_is_on() ? HEAP_FREE_HELD : HEAP_FREE_NOW), HEAP_FREED);
    os_critical_leave();
}

static inline void harness_alloc_n(void **blocks, int n, size_t size_bytes)
{
    for (int i = 0; i < n; i++)
        blocks[i] = harness_alloc(size_bytes);
}

static inline void harness_free_n(void **blocks, int n)
{
    for (int i = 0; i < n; i++)
        harness_free(blocks[i]);
}

/* The thread's cache as it is left some time after the thread's end, when none has begun since. */
static inline void harness_retire(void)
{
    os_critical_enter();
    tcache_retire();
    tcache_unpark_all();
    os_critical_leave();
}

static inline struct span *harness_span(const void *p)
{
    return span_of_ref(slice_of((uintptr_t)p)->span);
}

static inline uint32_t harness_idx(const void *p)
{
    const struct span *s = harness_span(p);
    return (uint32_t)(((uintptr_t)p - s->start) / s->size_bytes);
}

static inline enum heap_find harness_state(const void *p)
{
    struct heap_obj obj;
    return heap_find_object((uintptr_t)p, &obj);
}

static inline enum heap_free_result harness_free_slow(void *p)
{
    os_critical_enter();
    enum heap_free_result result = heap_free(p);
    os_critical_leave();
    return result;
}

static inline void harness_check(void)
{
    os_critical_enter();
    heap_check();
    os_critical_leave();
}

/* Runs fn in a thread of its own, to the end; it gives its cache up. */
struct harness_call {
    void (*fn)(void *arg);
    void *arg;
};
static inline void *harness_call_in_thread(void *ctx)
{
    struct harness_call *call = ctx;
    call->fn(call->arg);
    harness_retire();
    return NULL;
}
static inline void harness_in_thread(void (*fn)(void *arg), void *arg)
{
    struct harness_call call = {fn, arg};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, harness_call_in_thread, &call), 0);
    pthread_join(thread, NULL);
}

static inline size_t harness_usable(void *p)
{
    struct heap_obj obj;
    assert_int_equal(heap_find_object((uintptr_t)p, &obj), HEAP_LIVE);
    assert_int_equal(obj.start, (uintptr_t)p);
    return obj.size_bytes;
}

/* Runs fn in a child that must die by SIGABRT with exactly the line `libgcmalloc: WHAT: 0xADDR`. */
static inline void harness_expect_abort(void (*fn)(void *), void *arg, const char *what)
{
    int fds[2];
    char text[256] = {0}, want[128];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], 2);
        close(fds[0]);
        signal(SIGABRT, SIG_DFL);
        fn(arg);
        _exit(0);
    }
    close(fds[1]);
    size_t n = 0;
    for (ssize_t got; n < sizeof text - 1 && (got = read(fds[0], text + n, sizeof text - 1 - n)) > 0;)
        n += (size_t)got;
    close(fds[0]);
    char *remark = strstr(text, "qemu: "); /* an emulator has a line of its own to say */
    if (remark)
        *remark = 0;
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    snprintf(want, sizeof want, "libgcmalloc: %s: 0x", what);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_int_equal(strncmp(text, want, strlen(want)), 0);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

/* Nothing of what a test before left is in the cache or in central. */
static inline void harness_start_afresh(void)
{
    os_critical_enter();
    if (tcache_self != &tcache_none)
        tcache_drain_inbox(tcache_self);
    os_critical_leave();
    harness_retire();
    os_critical_enter();
    central_release_empty();
    os_critical_leave();
    harness_check();
}

#endif
