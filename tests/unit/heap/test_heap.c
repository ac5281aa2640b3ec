/* The heap as a plain malloc: a random tester against a shadow, one thread and many. Seed printed, taken from SEED. */
#include <pthread.h>

#include "heap_harness.h"

enum { N_SLOTS = 4000, N_STEPS = 400000, N_THREADS = 4, N_SHARED = 512 };

struct shadow {
    unsigned char *p;
    size_t size_bytes;
    unsigned char fill;
};

static size_t random_size(uint64_t *rng)
{
    switch (unit_below(rng, 20)) {
    case 0:
        return unit_below(rng, 400000) + 1;
    case 1:
    case 2:
        return unit_below(rng, 33000) + 1;
    default:
        return unit_below(rng, 600) + 1;
    }
}

static void shadow_fill(struct shadow *s, size_t size_bytes, unsigned char fill)
{
    *s = (struct shadow){harness_alloc(size_bytes), size_bytes, fill};
    assert_non_null(s->p);
    assert_int_equal((uintptr_t)s->p % 16, 0);
    assert_true(harness_usable(s->p) >= size_bytes);
    memset(s->p, fill, size_bytes < 4096 ? size_bytes : 4096);
    s->p[size_bytes - 1] = fill;
}

static void shadow_drop(struct shadow *s)
{
    for (size_t i = 0; i < s->size_bytes && i < 4096; i++)
        if (s->p[i] != s->fill)
            fail_msg("block %p of %zu bytes changed at %zu", (void *)s->p, s->size_bytes, i);
    assert_int_equal(s->p[s->size_bytes - 1], s->fill);
    harness_free(s->p);
    s->p = NULL;
}

static void blocks_keep_their_content_under_random_use(void **state)
{
    (void)state;
    static struct shadow shadows[N_SLOTS];
    uint64_t rng = unit_seed();
    for (int i = 0; i < N_STEPS; i++) {
        struct shadow *s = &shadows[unit_below(&rng, N_SLOTS)];
        if (s->p != NULL)
            shadow_drop(s);
        else
            shadow_fill(s, random_size(&rng), (unsigned char)i);
        if (i % 20000 == 0) {
            os_critical_enter();
            heap_check();
            os_critical_leave();
        }
    }
    size_t live = 0;
    for (int i = 0; i < N_SLOTS; i++)
        live += shadows[i].p == NULL ? 0 : harness_usable(shadows[i].p);
    assert_int_equal(heap_recount(), live);
    for (int i = 0; i < N_SLOTS; i++)
        if (shadows[i].p != NULL)
            shadow_drop(&shadows[i]);
    assert_int_equal(heap_recount(), 0);
}

/* ---- threads that free each other's blocks and end at any time ---- */

static struct shadow *_Atomic shared[N_SHARED];

static void *exchange_blocks(void *arg)
{
    uint64_t rng = (uint64_t)(uintptr_t)arg;
    for (int i = 0; i < N_STEPS / 8; i++) {
        struct shadow *s = atomic_exchange(&shared[unit_below(&rng, N_SHARED)], NULL);
        if (s != NULL) {
            shadow_drop(s);
            free(s);
            continue;
        }
        s = malloc(sizeof *s);
        shadow_fill(s, random_size(&rng), (unsigned char)i);
        s = atomic_exchange(&shared[unit_below(&rng, N_SHARED)], s);
        if (s != NULL) {
            shadow_drop(s);
            free(s);
        }
    }
    harness_retire();
    return NULL;
}

static void threads_free_each_others_blocks_and_end(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    for (int round = 0; round < 6; round++) {
        pthread_t threads[N_THREADS];
        for (int t = 0; t < N_THREADS; t++)
            pthread_create(&threads[t], NULL, exchange_blocks, (void *)(uintptr_t)(seed + (uint64_t)(round * 64 + t)));
        for (int t = 0; t < N_THREADS; t++)
            pthread_join(threads[t], NULL);
        os_critical_enter();
        heap_check();
        os_critical_leave();
    }
    for (int i = 0; i < N_SHARED; i++)
        if (shared[i] != NULL) {
            shadow_drop(shared[i]);
            free(shared[i]);
            shared[i] = NULL;
        }
    assert_int_equal(heap_recount(), 0);
}

/* ---- spans of ended threads are used again, empty memory goes back ---- */

static void *allocate_and_end(void *arg)
{
    void **blocks = arg;
    for (int i = 0; i < 2000; i++)
        blocks[i] = harness_alloc(480);
    harness_retire();
    return NULL;
}

static void spans_of_an_ended_thread_are_adopted(void **state)
{
    (void)state;
    static void *blocks[2000];
    pthread_t thread;
    pthread_create(&thread, NULL, allocate_and_end, blocks);
    pthread_join(thread, NULL);
    uint64_t before = counter_get(COUNTER_SPANS_ADOPTED);
    for (int i = 0; i < 2000; i += 2)
        harness_free(blocks[i]);
    size_t created = counter_get(COUNTER_SPANS_CREATED);
    for (int i = 0; i < 2000; i += 2)
        blocks[i] = harness_alloc(480);
    assert_true(counter_get(COUNTER_SPANS_ADOPTED) > before);
    assert_true(counter_get(COUNTER_SPANS_CREATED) - created <= 2);
    for (int i = 0; i < 2000; i++)
        harness_free(blocks[i]);
}

static void a_peak_that_was_freed_goes_back_to_the_kernel(void **state)
{
    (void)state;
    enum { N = 100000 };
    void **blocks = calloc(N, sizeof *blocks);
    for (int i = 0; i < N; i++) {
        blocks[i] = harness_alloc(1000);
        memset(blocks[i], 1, 1000);
    }
    size_t peak = os_vm_resident();
    for (int i = 0; i < N; i++)
        harness_free(blocks[i]);
    os_critical_enter();
    heap_trim(0);
    os_critical_leave();
    assert_true(os_vm_resident() + 90 * (size_t)1000 * 1000 < peak);
    free(blocks);
}

/* ---- large blocks ---- */

static void large_blocks_grow_and_shrink_with_their_content(void **state)
{
    (void)state;
    uint64_t rng = unit_seed();
    for (int round = 0; round < 50; round++) {
        size_t size = 40000 + unit_below(&rng, 3000000);
        unsigned char *p = harness_alloc(size);
        for (size_t i = 0; i < size; i += 509)
            p[i] = (unsigned char)(i / 509);
        for (int step = 0; step < 12; step++) {
            size_t bigger = 40000 + unit_below(&rng, 6000000), kept = size < bigger ? size : bigger;
            struct heap_obj obj;
            assert_int_equal(heap_find_object((uintptr_t)p, &obj), HEAP_LIVE);
            os_critical_enter();
            unsigned char *q = heap_large_resize(obj.span, bigger);
            os_critical_leave();
            assert_non_null(q);
            assert_true(harness_usable(q) >= bigger);
            for (size_t i = 0; i < kept; i += 509)
                assert_int_equal(q[i], (unsigned char)(i / 509));
            for (size_t i = 0; i < bigger; i += 509)
                q[i] = (unsigned char)(i / 509);
            p = q;
            size = bigger;
        }
        harness_free(p);
    }
}

static void large_alignments_hold(void **state)
{
    (void)state;
    for (size_t align = 65536; align <= (size_t)256 << 20; align *= 4) {
        bool is_zero;
        os_critical_enter();
        char *p = heap_large_alloc(70000, align, FLAVOR_MALLOC, &is_zero);
        os_critical_leave();
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % align, 0);
        p[69999] = 1;
        harness_free(p);
    }
}

/* ---- misuse ---- */

static void free_once_more(void *p)
{
    os_critical_enter();
    heap_free(p);
    os_critical_leave();
}

static void every_misuse_is_told_by_its_line(void **state)
{
    (void)state;
    size_t sizes[] = {1, 100, 5000, 33000, 300000};
    for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
        char *p = harness_alloc(sizes[i]), *other = harness_alloc(sizes[i]);
        harness_expect_abort(free_once_more, p + 8, MISUSE_INVALID_FREE);
        harness_free(p);
        harness_expect_abort(free_once_more, p, MISUSE_DOUBLE_FREE);
        harness_free(other);
        os_critical_enter();
        heap_trim(0);
        os_critical_leave();
        harness_expect_abort(free_once_more, p, MISUSE_DOUBLE_FREE);
    }
}

static void *free_in_thread(void *p)
{
    harness_free(p);
    harness_retire();
    return NULL;
}

static void second_free_is_found_whoever_frees(void **state)
{
    (void)state;
    void *p = harness_alloc(64);
    pthread_t thread;
    pthread_create(&thread, NULL, free_in_thread, p);
    pthread_join(thread, NULL);
    harness_expect_abort(free_once_more, p, MISUSE_DOUBLE_FREE);
}

/* ---- fork ---- */

static void *churn_until_told(void *arg)
{
    uint64_t rng = (uint64_t)(uintptr_t)arg;
    static _Atomic int stop;
    if (arg == NULL) {
        atomic_store(&stop, 1);
        return NULL;
    }
    void *mine[64] = {0};
    while (!atomic_load(&stop)) {
        size_t k = unit_below(&rng, 64);
        if (mine[k] != NULL)
            harness_free(mine[k]);
        mine[k] = harness_alloc(random_size(&rng));
    }
    for (int k = 0; k < 64; k++)
        if (mine[k] != NULL)
            harness_free(mine[k]);
    harness_retire();
    return NULL;
}

static void a_fork_child_of_busy_threads_has_a_whole_heap(void **state)
{
    (void)state;
    harness_needs_hardware();
    pthread_t threads[3];
    for (uintptr_t t = 0; t < 3; t++)
        pthread_create(&threads[t], NULL, churn_until_told, (void *)(t + 77));
    for (int i = 0; i < 150; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            alarm(20);
            uint64_t rng = (uint64_t)i;
            os_critical_enter();
            heap_fork_child();
            heap_check();
            os_critical_leave();
            for (int k = 0; k < 2000; k++)
                harness_free(harness_alloc(random_size(&rng)));
            _exit(42);
        }
        int status;
        waitpid(pid, &status, 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    }
    churn_until_told(NULL);
    for (int t = 0; t < 3; t++)
        pthread_join(threads[t], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_keep_their_content_under_random_use),
        cmocka_unit_test(threads_free_each_others_blocks_and_end),
        cmocka_unit_test(spans_of_an_ended_thread_are_adopted),
        cmocka_unit_test(a_peak_that_was_freed_goes_back_to_the_kernel),
        cmocka_unit_test(large_blocks_grow_and_shrink_with_their_content),
        cmocka_unit_test(large_alignments_hold),
        cmocka_unit_test(every_misuse_is_told_by_its_line),
        cmocka_unit_test(second_free_is_found_whoever_frees),
        cmocka_unit_test(a_fork_child_of_busy_threads_has_a_whole_heap),
    };
    return cmocka_run_group_tests(tests, harness_setup, NULL);
}
