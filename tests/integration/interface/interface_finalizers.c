/* Finalizers and cleanups: errors, order, cycles, and what a finalizer may do. Run on the library's thread unless the
 * test asks for them itself. */
#include "interface.h"

#include <pthread.h>
#include <sys/wait.h>

static size_t n_run, n_cleaned;
static void *revived[INTERFACE_N];

static size_t runs(void)
{
    return __atomic_load_n(&n_run, __ATOMIC_SEQ_CST);
}

static void note(void *obj, void *arg)
{
    (void)obj;
    (void)arg;
    __atomic_add_fetch(&n_run, 1, __ATOMIC_SEQ_CST);
}

static void note_cleanup(void *arg)
{
    TEST_CHECK(arg == NULL || *(int *)arg == 5);
    __atomic_add_fetch(&n_cleaned, 1, __ATOMIC_SEQ_CST);
}

/* Collections and runs until no more come: the thread may be running some, too. */
static void settle(void)
{
    for (int quiet = 0; quiet < 3;) {
        size_t before = runs();
        interface_clear_stack();
        TEST_CHECK(gc_collect_level(GC_FULL_EAGER) == 0);
        struct gc_stats stats;
        TEST_CHECK(gc_get_stats(&stats, sizeof(stats)) == 0);
        usleep(2000);
        quiet = runs() == before && stats.n_finalizers_queued == 0 ? quiet + 1 : 0;
    }
}

static void errors_are_told(void)
{
    static char foreign[32];
    char *p = gc_malloc(64, 0), *q = malloc(10);
    struct gc_finalizer set = {note, NULL, GC_UNORDERED + 1}, old;
    TEST_CHECK(gc_set_finalizer(foreign, note, NULL) == EINVAL);
    TEST_CHECK(gc_set_finalizer(NULL, note, NULL) == EINVAL);
    TEST_CHECK(gc_set_finalizer(p + 8, note, NULL) == EINVAL);
    TEST_CHECK(gc_set_finalizer(p, note, NULL) == 0 && gc_set_finalizer(p, note, NULL) == EEXIST);
    TEST_CHECK(gc_set_finalizer(p, NULL, NULL) == 0 && gc_set_finalizer(p, NULL, NULL) == 0);
    TEST_CHECK(gc_set_finalizer(q, note, NULL) == 0); /* malloc's blocks, too */
    TEST_CHECK(gc_add_cleanup(p, NULL, NULL) == EINVAL && gc_add_cleanup(p + 1, note_cleanup, NULL) == EINVAL);
    TEST_CHECK(gc_exchange_finalizer(p, &set, &old) == EINVAL);
    set.order = GC_ORDERED_BUT_SELF;
    TEST_CHECK(gc_exchange_finalizer(foreign, &set, &old) == EINVAL);
    TEST_CHECK(gc_exchange_finalizer(p, &set, &old) == 0 && old.fn == NULL);
    set.arg = q;
    TEST_CHECK(gc_exchange_finalizer(p, &set, &old) == 0 && old.fn == note && old.arg == NULL &&
               old.order == GC_ORDERED_BUT_SELF);
    TEST_CHECK(gc_exchange_finalizer(p, NULL, &old) == 0 && old.arg == q);
    TEST_CHECK(gc_exchange_finalizer(p, NULL, NULL) == 0);
    free(q); /* drops it */
    free(p);
    TEST_CHECK(gc_set_finalizer(p, note, NULL) == EINVAL);
    settle();
    TEST_CHECK(runs() == 0);
}

/* ---- order ---- */

static unsigned char stages[INTERFACE_N];
static void note_order(void *obj, void *arg)
{
    unsigned chain = (unsigned)((uintptr_t)arg / 4), place = (uintptr_t)arg % 4;
    TEST_CHECK(stages[chain] == place - 1);
    stages[chain]++;
    note(obj, arg);
}

static NOINLINE void build_chains(void)
{
    for (uintptr_t i = 0; i < INTERFACE_N; i++) {
        void **a = gc_malloc(16, 0), **b = gc_malloc(16, 0), **c = gc_malloc(16, 0);
        a[0] = b;
        b[0] = c;
        TEST_CHECK(gc_set_finalizer(c, note_order, (void *)(i * 4 + 3)) == 0);
        TEST_CHECK(gc_set_finalizer(b, note_order, (void *)(i * 4 + 2)) == 0);
        TEST_CHECK(gc_set_finalizer(a, note_order, (void *)(i * 4 + 1)) == 0);
    }
}

static void dependency_is_kept(void)
{
    build_chains();
    settle();
    size_t n_whole = 0;
    for (size_t i = 0; i < INTERFACE_N; i++)
        n_whole += stages[i] == 3;
    TEST_CHECK(n_whole >= INTERFACE_NEARLY_ALL);
}

static NOINLINE void build_cycles(unsigned finalizer_order)
{
    struct gc_finalizer set = {note, NULL, finalizer_order};
    static int five = 5;
    for (int i = 0; i < INTERFACE_N; i++) {
        void **a = gc_malloc(32, 0), **b = gc_malloc(32, 0);
        a[0] = finalizer_order == GC_ORDERED_BUT_SELF ? (void *)a : (void *)b;
        b[0] = a;
        TEST_CHECK(gc_exchange_finalizer(a, &set, NULL) == 0);
        if (finalizer_order == GC_ORDERED)
            TEST_CHECK(gc_add_cleanup(b, note_cleanup, &five) == 0);
    }
}

static void cycles_are_told_and_never_run(void)
{
    struct gc_stats stats;
    size_t before = runs();
    build_cycles(GC_ORDERED);
    settle();
    settle();
    TEST_CHECK(runs() == before);
    TEST_CHECK(gc_get_stats(&stats, sizeof(stats)) == 0);
    TEST_CHECK(stats.n_finalizers_cyclic >= INTERFACE_NEARLY_ALL);
    TEST_CHECK(stats.finalizer_cyclic_first == (uintptr_t)note);
}

static void other_orders_run_in_cycles(void)
{
    for (unsigned o = GC_ORDERED_BUT_SELF; o <= GC_UNORDERED; o++) {
        size_t before = runs();
        build_cycles(o);
        settle();
        if (runs() - before < INTERFACE_NEARLY_ALL)
            TEST_FAIL("order %u: only %zu of %d ran", o, runs() - before, INTERFACE_N);
    }
}

/* ---- cleanups ---- */

static NOINLINE void build_cleanups(void)
{
    static int five = 5;
    for (int i = 0; i < INTERFACE_N; i++) {
        void **a = gc_malloc(32, 0), **b = gc_malloc(32, 0);
        a[0] = b;
        b[0] = a; /* cleanups run even so */
        TEST_CHECK(gc_add_cleanup(a, note_cleanup, &five) == 0 && gc_add_cleanup(a, note_cleanup, NULL) == 0);
    }
}

static void cleanups_run_in_cycles(void)
{
    build_cleanups();
    settle();
    TEST_CHECK(__atomic_load_n(&n_cleaned, __ATOMIC_SEQ_CST) >= 2 * INTERFACE_NEARLY_ALL);
}

/* ---- what a finalizer may do ---- */

static void revive(void *obj, void *arg)
{
    revived[(uintptr_t)arg] = obj;
    note(obj, arg);
}

static NOINLINE void build_revived(void)
{
    for (uintptr_t i = 0; i < INTERFACE_N; i++) {
        void **p = gc_malloc(32, 0);
        p[0] = gc_malloc(32, 0);
        *(uintptr_t *)p[0] = i;
        interface_hide(i, p);
        TEST_CHECK(gc_set_finalizer(p, revive, (void *)i) == 0);
    }
}

static void blocks_may_be_revived(void)
{
    size_t before = runs();
    build_revived();
    settle();
    size_t n = runs() - before;
    TEST_CHECK(n >= INTERFACE_NEARLY_ALL);
    TEST_CHECK(interface_n_alive() == INTERFACE_N);
    for (uintptr_t i = 0; i < INTERFACE_N; i++)
        if (revived[i] != NULL)
            TEST_CHECK(**(uintptr_t **)revived[i] == i);
    memset(revived, 0, sizeof(revived));
    settle();
    TEST_CHECK(runs() - before < n + INTERFACE_N - INTERFACE_NEARLY_ALL); /* not called twice */
    TEST_CHECK(interface_n_alive() <= INTERFACE_N - INTERFACE_NEARLY_ALL);
}

static void set_again(void *obj, void *arg)
{
    TEST_CHECK(gc_set_finalizer(obj, note, arg) == 0);
    note(obj, arg);
}

static void allocate_and_collect(void *obj, void *arg)
{
    static size_t n;
    void *p = gc_malloc(1000, 0);
    TEST_CHECK(p != NULL);
    if (++n % 100 == 0)
        gc_collect();
    else if (n % 101 == 0)
        TEST_CHECK(gc_collect_level(GC_FULL_EAGER) == 0 || errno != EINVAL);
    note(obj, arg);
}

static void fork_and_wait(void *obj, void *arg)
{
    static size_t n;
    if (n++ == 0) {
        pid_t pid = fork();
        if (pid == 0) { /* the finalizer goes on in a child whose only thread it is */
            for (int i = 0; i < 1000; i++)
                free(gc_malloc(100, 0));
            gc_collect();
            _exit(17);
        }
        int status = 0;
        TEST_CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 17);
    }
    note(obj, arg);
}

static void block_for_a_second(void *obj, void *arg)
{
    static size_t n;
    if (n++ == 0)
        usleep(1000000);
    note(obj, arg);
}

static NOINLINE void build(gc_finalizer_fn fn, size_t n)
{
    for (size_t i = 0; i < n; i++)
        TEST_CHECK(gc_set_finalizer(gc_malloc(32, GC_NOSCAN), fn, NULL) == 0);
}

static void finalizers_may_do_anything(void)
{
    static const struct {
        gc_finalizer_fn fn;
        size_t n_each;
    } cases[] = {{set_again, 2}, {allocate_and_collect, 1}, {fork_and_wait, 1}, {block_for_a_second, 1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t before = runs();
        build(cases[i].fn, INTERFACE_N);
        settle();
        if (runs() - before < cases[i].n_each * INTERFACE_NEARLY_ALL)
            TEST_FAIL("case %zu: only %zu ran", i, runs() - before);
    }
}

static void leave(void *obj, void *arg)
{
    (void)obj;
    exit((int)(uintptr_t)arg);
}

static NOINLINE void child_exits_in_finalizer(void)
{
    TEST_CHECK(gc_set_finalizer(gc_malloc(32, 0), leave, (void *)23) == 0);
    for (int i = 0; i < 100; i++)
        TEST_CHECK(gc_set_finalizer(gc_malloc(32, 0), leave, (void *)23) == 0);
    interface_clear_stack();
    for (;;) {
        gc_collect();
        usleep(1000);
    }
}

static void exit_leaves_the_program(void)
{
    pid_t pid = fork();
    if (pid == 0)
        child_exits_in_finalizer();
    int status = 0;
    TEST_CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 23);
}

static void very_many_at_once(void)
{
    size_t n = getenv("GCMALLOC") == NULL ? 1000000 : 20000, before = runs();
    gc_inhibit();
    build(note, n);
    gc_uninhibit();
    settle();
    TEST_CHECK(runs() - before >= n - n / 10);
}

int main(void)
{
    errors_are_told();
    dependency_is_kept();
    cycles_are_told_and_never_run();
    other_orders_run_in_cycles();
    cleanups_run_in_cycles();
    blocks_may_be_revived();
    finalizers_may_do_anything();
    exit_leaves_the_program();
    very_many_at_once();
    return 0;
}
