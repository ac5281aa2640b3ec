/* The heap under a collector that is played by the test: workers allocate, free each other's blocks, drop some without a
 * free, end and begin again; now and then all of them park at a safe point, and what no shadow knows is judged dead.
 * No live block may ever be lost or changed, every dropped one must come back, and nothing may be called misuse.
 * Seed from SEED, seconds from GCM_TEST_SECONDS. */
#include "heap_harness.h"
#include "heap/probation.h"

enum { N_WORKERS = 4, N_SLOTS = 600, N_SHARED = 256, N_OPS_BETWEEN = 400 };

struct shadow {
    unsigned char *p;
    size_t size_bytes;
    uint64_t value;
};

/* Parked workers hold no block but those in their shadows and in `shared`. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int n_running, n_parked;
    bool should_park;
} world = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static struct shadow shadows[N_WORKERS][N_SLOTS];
static struct shadow shared[N_SHARED];
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool must_end;
static _Atomic uint64_t n_dropped, n_judged_dead, n_released_in_all;

static void world_safe_point(void)
{
    if (!__atomic_load_n(&world.should_park, __ATOMIC_RELAXED))
        return;
    pthread_mutex_lock(&world.lock);
    world.n_parked++;
    pthread_cond_broadcast(&world.changed);
    while (world.should_park)
        pthread_cond_wait(&world.changed, &world.lock);
    world.n_parked--;
    pthread_mutex_unlock(&world.lock);
}

static void world_join_or_leave(int step)
{
    pthread_mutex_lock(&world.lock);
    while (step > 0 && world.should_park)
        pthread_cond_wait(&world.changed, &world.lock);
    world.n_running += step;
    pthread_cond_broadcast(&world.changed);
    pthread_mutex_unlock(&world.lock);
}

/* ---- blocks that know themselves ---- */

static void shadow_stamp(struct shadow *s)
{
    for (size_t i = 0; i + 8 <= s->size_bytes; i += s->size_bytes > 4096 ? 2040 : 8)
        memcpy(s->p + i, &s->value, 8);
}

static void shadow_verify(const struct shadow *s)
{
    uint64_t v;
    for (size_t i = 0; i + 8 <= s->size_bytes; i += s->size_bytes > 4096 ? 2040 : 8) {
        memcpy(&v, s->p + i, 8);
        if (v != s->value)
            fail_msg("block %p of %zu bytes changed at %zu", (void *)s->p, s->size_bytes, i);
    }
}

static void shadow_make(struct shadow *s, uint64_t *rng)
{
    static const size_t limits[] = {64, 64, 200, 1000, 4000, 20000, 90000, 600000};
    s->size_bytes = unit_below(rng, limits[unit_below(rng, N_ELEMENTS(limits))]) + 8;
    s->value = test_random(rng);
    s->p = harness_alloc(s->size_bytes);
    assert_non_null(s->p);
    shadow_stamp(s);
}

static void shadow_free(struct shadow *s)
{
    shadow_verify(s);
    memset(s->p, 0xdd, s->size_bytes < 64 ? s->size_bytes : 64);
    unsigned char *p = s->p;
    s->p = NULL;
    harness_free(p);
}

/* ---- workers ---- */

static void swap_with_shared(struct shadow *s, uint64_t *rng)
{
    struct shadow *other = &shared[unit_below(rng, N_SHARED)];
    pthread_mutex_lock(&shared_lock);
    struct shadow mine = *s;
    *s = *other;
    *other = mine;
    pthread_mutex_unlock(&shared_lock);
}

static void resize(struct shadow *s, uint64_t *rng)
{
    if (!span_is_large(harness_span(s->p)))
        return;
    size_t size = unit_below(rng, 900000) + 40000, kept = size < s->size_bytes ? size : s->size_bytes;
    os_critical_enter();
    unsigned char *p = heap_large_resize(harness_span(s->p), size);
    os_critical_leave();
    if (p == NULL)
        return;
    struct shadow before = {p, kept, s->value};
    before.size_bytes = kept < 2040 ? kept : kept / 2040 * 2040;
    shadow_verify(&before);
    s->p = p;
    s->size_bytes = size;
    shadow_stamp(s);
}

static void work_once(struct shadow *s, uint64_t *rng)
{
    uint64_t dice = unit_below(rng, 100);
    if (s->p == NULL)
        shadow_make(s, rng);
    else if (dice < 50)
        shadow_free(s);
    else if (dice < 65) {
        shadow_verify(s);
        s->p = NULL; /* leaked */
        n_dropped++;
    } else if (dice < 90)
        swap_with_shared(s, rng);
    else
        resize(s, rng);
}

static void *worker(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    uint64_t rng = (uint64_t)(uintptr_t)arg * 0x9e3779b97f4a7c15u;
    world_join_or_leave(1);
    while (!must_end) {
        for (int i = 0; i < N_OPS_BETWEEN; i++) {
            work_once(&shadows[me % N_WORKERS][unit_below(&rng, N_SLOTS)], &rng);
            world_safe_point();
        }
        if (unit_below(&rng, 8) == 0)
            harness_retire(); /* as if the thread had ended: its blocks live on */
        if (unit_below(&rng, 8) == 0) {
            os_critical_enter();
            tcache_release_empty(tcache_get());
            central_release_empty();
            os_critical_leave();
        }
    }
    harness_retire();
    world_join_or_leave(-1);
    return NULL;
}

/* ---- the collector ---- */

static void mark_shadow(const struct shadow *s)
{
    struct heap_obj obj;
    if (s->p == NULL)
        return;
    assert_int_equal(heap_find_object((uintptr_t)s->p, &obj), HEAP_LIVE);
    assert_int_equal(obj.start, (uintptr_t)s->p);
    assert_true(obj.size_bytes >= s->size_bytes);
    obj.span->words[obj.idx >> 6].mark |= UINT64_C(1) << (obj.idx & 63);
}

struct sweeping {
    uint64_t *rng;
    uint64_t n_dead;
};

/* Random words keep garbage, as a conservative collector's do. */
static void mark_by_chance(struct span *s, void *ctx)
{
    struct sweeping *sw = ctx;
    if (unit_below(sw->rng, 4) != 0)
        return;
    uint32_t idx = (uint32_t)unit_below(sw->rng, s->n_blocks);
    if (!span_is_free(s, idx))
        s->words[idx >> 6].mark |= UINT64_C(1) << (idx & 63);
}

static void publish(struct span *s, void *ctx)
{
    struct sweeping *sw = ctx;
    uint32_t n_kept, n_released = quarantine_is_on() ? quarantine_judge(s, &n_kept) : 0;
    uint32_t n_live, n_dead = heap_publish_dead(s, &n_live);
    sw->n_dead += n_dead;
    n_released_in_all += n_released;
    bool may_stay = !span_is_large(s) && unit_below(sw->rng, 3) == 0; /* a small one is found empty by its owner */
    if (n_live == 0 && (n_dead + n_released != 0 || s->list_no != LIST_CURRENT) && !may_stay)
        heap_release_dead_span(s);
}

static void collect(uint64_t *rng, bool is_exact)
{
    struct sweeping sw = {.rng = rng};
    os_critical_enter();
    heap_check();
    heap_settle();
    heap_check();
    for (int w = 0; w < N_WORKERS; w++)
        for (int i = 0; i < N_SLOTS; i++)
            mark_shadow(&shadows[w][i]);
    for (int i = 0; i < N_SHARED; i++)
        mark_shadow(&shared[i]);
    if (!is_exact)
        heap_walk_spans(mark_by_chance, &sw);
    heap_walk_spans(publish, &sw);
    heap_check();
    os_critical_leave();
    n_judged_dead += sw.n_dead;
}

static void stop_and_collect(uint64_t *rng)
{
    pthread_mutex_lock(&world.lock);
    __atomic_store_n(&world.should_park, true, __ATOMIC_RELAXED);
    while (world.n_parked < world.n_running)
        pthread_cond_wait(&world.changed, &world.lock);
    collect(rng, false);
    __atomic_store_n(&world.should_park, false, __ATOMIC_RELAXED);
    pthread_cond_broadcast(&world.changed);
    pthread_mutex_unlock(&world.lock);
}

static void look_without_a_stop(uint64_t *rng)
{
    os_critical_enter();
    heap_recount();
    if (quarantine_is_on() && unit_below(rng, 4) == 0)
        quarantine_release_all();
    os_critical_leave();
}

static void run_workers(bool is_careful)
{
    uint64_t rng = unit_seed(), deadline = os_clock_ns() + test_env_number("GCM_TEST_SECONDS", 5) * 1000000000u;
    uint64_t n_cycles = 0, n_taken_freed = counter_get(COUNTER_TAKEN_FREED);
    pthread_t threads[N_WORKERS];
    n_dropped = n_judged_dead = 0;
    must_end = false;
    probation_set(is_careful);
    for (uintptr_t t = 0; t < N_WORKERS; t++)
        pthread_create(&threads[t], NULL, worker, (void *)((rng & 0xffffff00) + t + N_WORKERS * 4));
    while (os_clock_ns() < deadline) {
        usleep((useconds_t)unit_below(&rng, 3000));
        if (unit_below(&rng, 4) == 0)
            look_without_a_stop(&rng);
        stop_and_collect(&rng);
        n_cycles++;
    }
    must_end = true;
    for (int t = 0; t < N_WORKERS; t++)
        pthread_join(threads[t], NULL);
    collect(&rng, true);
    if (is_careful)
        collect(&rng, true); /* what was dropped last is on probation */
    print_message("%lu cycles, %lu dropped, %lu judged dead\n", n_cycles, (unsigned long)n_dropped, (unsigned long)n_judged_dead);
    assert_int_equal(n_judged_dead, n_dropped);
    assert_int_equal(counter_get(COUNTER_TAKEN_FREED), n_taken_freed);
}

static void nothing_live_is_lost_and_everything_dropped_comes_back(void **state)
{
    (void)state;
    run_workers(false);
}

/* No block of this program is ever used after it was found unreachable, so none may be taken for one that is. */
static void the_same_on_probation(void **state)
{
    (void)state;
    uint64_t n_used = counter_get(COUNTER_SUSPECTS_USED), n_suspected = counter_get(COUNTER_BLOCKS_SUSPECTED);
    run_workers(true);
    assert_int_equal(counter_get(COUNTER_SUSPECTS_USED), n_used);
    assert_true(counter_get(COUNTER_BLOCKS_SUSPECTED) - n_suspected >= n_judged_dead);
    probation_set(false);
}

/* What is freed is held until a collection, or given up between two; neither is taken for what was dropped. */
static void the_same_in_quarantine(void **state)
{
    (void)state;
    os_critical_enter();
    quarantine_begin();
    os_critical_leave();
    uint64_t n_forced = counter_get(COUNTER_HELD_FORCED);
    run_workers(false);
    assert_true(n_released_in_all != 0);
    assert_true(counter_get(COUNTER_HELD_FORCED) != n_forced);
    run_workers(true);
    probation_set(false);
}

static void at_the_end_the_heap_is_empty(void **state)
{
    (void)state;
    for (int w = 0; w < N_WORKERS; w++)
        for (int i = 0; i < N_SLOTS; i++)
            if (shadows[w][i].p != NULL)
                shadow_free(&shadows[w][i]);
    for (int i = 0; i < N_SHARED; i++)
        if (shared[i].p != NULL)
            shadow_free(&shared[i]);
    os_critical_enter();
    quarantine_release_all();
    os_critical_leave();
    assert_int_equal(heap_recount(), 0);
    harness_retire();
    os_critical_enter();
    heap_settle();
    central_release_empty();
    os_critical_leave();
    harness_check();
    assert_int_equal(heap_mapped_bytes(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_live_is_lost_and_everything_dropped_comes_back),
        cmocka_unit_test(the_same_on_probation),
        cmocka_unit_test(the_same_in_quarantine),
        cmocka_unit_test(at_the_end_the_heap_is_empty),
    };
    return cmocka_run_group_tests(tests, harness_setup, NULL);
}
