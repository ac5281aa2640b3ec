/* A program for libgc: finalizers in every order, disappearing links, callbacks, disabling. Counts are printed as "most" or
 * "few", because any collector may keep some garbage. */
#include <gc/gc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 1000 };
static unsigned n_run, stages[N];
static GC_hidden_pointer *hidden;
static void **links, **long_links;

static const char *how_many(unsigned n)
{
    return n >= N * 9 / 10 ? "most" : n <= N / 10 ? "few" : "some";
}

static void count(void *obj, void *data)
{
    (void)obj;
    (void)data;
    n_run++;
}

static void __attribute__((noinline)) clear_stack(void)
{
    volatile char frame[16384];
    memset((char *)frame, 0, sizeof frame);
}

static void collect(void)
{
    for (int i = 0; i < 6; i++) {
        clear_stack();
        GC_gcollect();
        GC_invoke_finalizers();
    }
}

static void __attribute__((noinline)) make_plain(void)
{
    GC_finalization_proc old_fn = count;
    void *old_data = &n_run;
    for (int i = 0; i < N; i++) {
        void *p = GC_MALLOC(40);
        GC_REGISTER_FINALIZER(p, count, NULL, i ? NULL : &old_fn, i ? NULL : &old_data);
        if (i == 0)
            printf("before: %d %d\n", old_fn == NULL, old_data == NULL);
    }
    void *q = GC_MALLOC(40);
    GC_REGISTER_FINALIZER(q, count, q, NULL, NULL);
    GC_REGISTER_FINALIZER(q, NULL, NULL, &old_fn, &old_data);
    printf("replaced: %d %d\n", old_fn == count, old_data == q);
}

static void note_stage(void *obj, void *data)
{
    uintptr_t i = (uintptr_t)data / 2, place = (uintptr_t)data % 2;
    (void)obj;
    if (stages[i]++ != place)
        printf("out of order\n");
}

static void __attribute__((noinline)) make_chains(void)
{
    for (uintptr_t i = 0; i < N; i++) {
        void **a = GC_MALLOC(24), **b = GC_MALLOC(24);
        a[0] = b;
        GC_REGISTER_FINALIZER(b, note_stage, (void *)(i * 2 + 1), NULL, NULL);
        GC_REGISTER_FINALIZER(a, note_stage, (void *)(i * 2), NULL, NULL);
    }
}

typedef void (*reg)(void *, GC_finalization_proc, void *, GC_finalization_proc *, void **);
static void __attribute__((noinline)) make_cycles(reg fn, int is_self)
{
    for (int i = 0; i < N; i++) {
        void **a = GC_MALLOC(24), **b = GC_MALLOC(24);
        a[1] = is_self ? (void *)a : (void *)b;
        b[1] = a;
        fn(a, count, NULL, NULL, NULL);
    }
}

static void cycles(const char *name, reg fn, int is_self)
{
    n_run = 0;
    make_cycles(fn, is_self);
    collect();
    printf("%s: %s\n", name, how_many(n_run));
}

static void see_links(void *obj, void *data)
{
    uintptr_t i = (uintptr_t)data;
    n_run += links[i] == NULL && long_links[i] == obj;
}

static void __attribute__((noinline)) make_links(void)
{
    int n_good = 0, n_twice = 0;
    for (uintptr_t i = 0; i < N; i++) {
        void *p = GC_MALLOC(32);
        links[i] = long_links[i] = p;
        hidden[i] = GC_HIDE_POINTER(p);
        n_good += GC_GENERAL_REGISTER_DISAPPEARING_LINK(&links[i], p) == GC_SUCCESS;
        n_twice += GC_GENERAL_REGISTER_DISAPPEARING_LINK(&links[i], p) == GC_DUPLICATE;
        n_good += GC_REGISTER_LONG_LINK(&long_links[i], p) == GC_SUCCESS;
        GC_REGISTER_FINALIZER(p, see_links, (void *)i, NULL, NULL);
    }
    printf("registered: %d, twice: %d\n", n_good, n_twice);
}

static unsigned n_null(void **words)
{
    unsigned n = 0;
    for (int i = 0; i < N; i++)
        n += words[i] == NULL;
    return n;
}

static void disappearing(void)
{
    links = GC_MALLOC_ATOMIC_UNCOLLECTABLE(N * sizeof *links);
    long_links = GC_MALLOC_ATOMIC_UNCOLLECTABLE(N * sizeof *links);
    hidden = GC_MALLOC_ATOMIC(N * sizeof *hidden);
    n_run = 0;
    make_links();
    collect();
    printf("links: %s, long links: %s, seen so by finalizers: %s\n", how_many(n_null(links)),
           how_many(n_null(long_links)), how_many(n_run));
    void *kept = GC_MALLOC(32), **at = GC_MALLOC_ATOMIC(32);
    at[0] = kept;
    GC_GENERAL_REGISTER_DISAPPEARING_LINK(&at[0], kept);
    at[1] = at[0];
    printf("moved: %d %d", GC_move_disappearing_link(&at[0], &at[1]), GC_move_disappearing_link(&at[2], &at[3]));
    printf(", unregistered: %d %d\n", GC_unregister_disappearing_link(&at[1]), GC_unregister_disappearing_link(&at[0]));
    GC_reachable_here(kept);
}

static unsigned n_start, n_end;
static void on_event(GC_EventType event)
{
    n_start += event == GC_EVENT_START;
    n_end += event == GC_EVENT_END;
}

static void disabled(void)
{
    GC_disable();
    GC_disable();
    printf("disabled: %d", GC_is_disabled() != 0);
    GC_enable();
    printf(" %d", GC_is_disabled() != 0);
    GC_enable();
    printf(" %d\n", GC_is_disabled() != 0);
}

static void on_demand(void)
{
    GC_set_finalize_on_demand(1);
    n_run = 0;
    make_cycles(GC_register_finalizer_no_order, 0);
    clear_stack();
    GC_gcollect();
    printf("on demand: %s", how_many(n_run));
    printf(", %d", GC_should_invoke_finalizers());
    while (GC_invoke_finalizers() > 0)
        ;
    printf(", then %s\n", how_many(n_run));
    GC_set_finalize_on_demand(0);
}

static void *hidden_read(void *arg)
{
    return arg;
}

int main(void)
{
    GC_INIT();
    make_plain();
    collect();
    printf("finalized: %s\n", how_many(n_run));
    make_chains();
    collect();
    unsigned n_whole = 0;
    for (int i = 0; i < N; i++)
        n_whole += stages[i] == 2;
    printf("chains: %s\n", how_many(n_whole));
    cycles("cycles", GC_register_finalizer, 0);
    cycles("cycles, no order", GC_register_finalizer_no_order, 0);
    cycles("self", GC_register_finalizer, 1);
    cycles("self, ignored", GC_register_finalizer_ignore_self, 1);
    disappearing();
    GC_set_on_collection_event(on_event);
    collect();
    printf("events: %d %d\n", n_start > 0, n_start == n_end);
    disabled();
    on_demand();
    printf("locked: %d\n", GC_call_with_alloc_lock(hidden_read, &n_run) == &n_run);
    GC_set_free_space_divisor(4);
    printf("settings: %d %d\n", (int)GC_get_free_space_divisor(), GC_get_all_interior_pointers());
    return 0;
}
