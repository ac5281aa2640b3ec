/* Bits and flags of one span, played as owner, as remote freer and as collector. */
#include "heap_harness.h"


/* A span of this thread with blocks handed out: its first n. */
static struct span *span_with_blocks(uintptr_t *blocks, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        blocks[i] = (uintptr_t)harness_alloc(64);
    return span_of_ref(slice_of(blocks[0])->span);
}

static void mark(struct span *s, uintptr_t block)
{
    uint32_t idx = (uint32_t)((block - s->start) / s->size_bytes);
    s->words[idx >> 6].mark |= UINT64_C(1) << (idx & 63);
}

static uint32_t publish(struct span *s)
{
    uint32_t n_live;
    os_critical_enter();
    uint32_t n_dead = heap_publish_dead(s, &n_live);
    span_check(s);
    os_critical_leave();
    return n_dead;
}

static enum heap_find state_of(uintptr_t block)
{
    struct heap_obj obj;
    return heap_find_object(block, &obj);
}

static enum heap_free_result slow_free(uintptr_t block)
{
    os_critical_enter();
    enum heap_free_result r = heap_free((void *)block);
    os_critical_leave();
    return r;
}

static void free_once_more(void *block)
{
    slow_free((uintptr_t)block);
}

static void settle(void)
{
    os_critical_enter();
    heap_settle();
    os_critical_leave();
}

static void unmarked_blocks_become_dead_then_free_then_theirs(void **state)
{
    (void)state;
    uintptr_t blocks[100];
    struct span *s = span_with_blocks(blocks, 100);
    settle();
    for (int i = 0; i < 100; i++)
        if (i % 2 == 0)
            mark(s, blocks[i]);
    uint32_t n_dead = publish(s);
    assert_true(n_dead >= 50);
    assert_int_equal(state_of(blocks[0]), HEAP_LIVE);
    assert_int_equal(state_of(blocks[1]), HEAP_TAKEN);
    assert_null(s->fast_owner);
    settle();
    assert_int_equal(state_of(blocks[1]), HEAP_TAKEN);
    assert_true(span_is_free(s, (uint32_t)((blocks[1] - s->start) / 64)));
    for (int i = 0; i < 100; i += 2)
        assert_int_equal(slow_free(blocks[i]), HEAP_FREED);
    assert_int_equal(state_of(blocks[0]), HEAP_FREE);
}

static void free_of_a_taken_block_is_counted_and_a_second_one_aborts(void **state)
{
    (void)state;
    uintptr_t blocks[10];
    struct span *s = span_with_blocks(blocks, 10);
    settle();
    for (int i = 1; i < 10; i++)
        mark(s, blocks[i]);
    assert_true(publish(s) >= 1);
    assert_int_equal(slow_free(blocks[0]), HEAP_FREED_TAKEN);
    harness_expect_abort(free_once_more, (void *)blocks[0], MISUSE_DOUBLE_FREE);
    for (int i = 1; i < 10; i++)
        assert_int_equal(slow_free(blocks[i]), HEAP_FREED);
}

static void a_slot_handed_out_again_is_an_ordinary_block(void **state)
{
    (void)state;
    uintptr_t blocks[10];
    struct span *s = span_with_blocks(blocks, 10);
    settle();
    publish(s); /* nothing is marked: all dead */
    settle();
    uintptr_t again = 0;
    for (int i = 0; i < 5000 && again != blocks[3]; i++)
        again = (uintptr_t)harness_alloc(64);
    assert_int_equal(again, blocks[3]);
    assert_int_equal(state_of(again), HEAP_LIVE);
    assert_int_equal(slow_free(again), HEAP_FREED);
    harness_expect_abort(free_once_more, (void *)again, MISUSE_DOUBLE_FREE);
}

static void blocks_allocated_after_the_stop_are_never_in_the_dead_set(void **state)
{
    (void)state;
    uintptr_t blocks[64], fresh[200];
    struct span *s = span_with_blocks(blocks, 64);
    settle();
    publish(s);
    for (int i = 0; i < 200; i++) {
        fresh[i] = (uintptr_t)harness_alloc(64);
        memset((void *)fresh[i], i, 64);
    }
    settle();
    for (int i = 0; i < 200; i++) {
        assert_int_equal(state_of(fresh[i]), HEAP_LIVE);
        for (int b = 0; b < 64; b++)
            assert_int_equal(((unsigned char *)fresh[i])[b], (unsigned char)i);
        harness_free((void *)fresh[i]);
    }
}

static void *remote_free(void *block)
{
    harness_free(block);
    harness_retire();
    return NULL;
}

static void free_elsewhere(uintptr_t block)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, remote_free, (void *)block), 0);
    pthread_join(thread, NULL);
}

static void a_remote_free_waits_for_its_owner_and_is_not_dead_meanwhile(void **state)
{
    (void)state;
    uintptr_t blocks[8];
    struct span *s = span_with_blocks(blocks, 8);
    free_elsewhere(blocks[2]);
    assert_null(s->fast_owner);
    assert_int_not_equal(atomic_load(&s->flags) & SPAN_REMOTE, 0);
    settle();
    assert_int_equal(state_of(blocks[2]), HEAP_FREE);
    for (int i = 0; i < 8; i++)
        if (i != 2)
            assert_int_equal(slow_free(blocks[i]), HEAP_FREED);
    assert_int_equal(atomic_load(&s->flags) & SPAN_REMOTE, 0);
}

static void second_free_by_the_owner_of_a_remotely_freed_block_aborts(void **state)
{
    (void)state;
    uintptr_t block = (uintptr_t)harness_alloc(64);
    free_elsewhere(block);
    harness_expect_abort(free_once_more, (void *)block, MISUSE_DOUBLE_FREE);
}

static void flags_and_fast_owner_go_together(void **state)
{
    (void)state;
    void *p = harness_alloc(96); /* nothing was taken there, so that the flags tell the truth afterwards */
    struct span *s = span_of_ref(slice_of((uintptr_t)p)->span);
    os_critical_enter();
    tcache_drain_inbox(tcache_self);
    assert_int_equal(span_flags(s), 0);
    assert_ptr_equal(s->fast_owner, tcache_self);
    span_flag_set(s, SPAN_SPECIAL);
    assert_null(s->fast_owner);
    span_flag_clear(s, SPAN_SPECIAL);
    assert_ptr_equal(s->fast_owner, tcache_self);
    os_critical_leave();
    harness_free(p);
}

static void a_span_with_no_live_block_is_released_and_told(void **state)
{
    (void)state;
    uintptr_t block = (uintptr_t)harness_alloc(20000);
    struct span *s = span_of_ref(slice_of(block)->span);
    settle();
    publish(s);
    os_critical_enter();
    heap_release_dead_span(s);
    os_critical_leave();
    assert_int_equal(slice_of(block)->span, 0);
    assert_int_equal(slow_free(block), HEAP_FREED_TAKEN);
    void *p = harness_alloc(20000);
    assert_non_null(p);
    harness_free(p);
}

/* What only a collection or another thread's free writes lies on pages of its own. */
static bool is_cold_touched(struct span *s)
{
    uintptr_t page = (uintptr_t)span_cold(s) & -os_page_size();
    return os_vm_count_present((void *)page, os_page_size()) != 0;
}

static void a_span_that_nobody_else_frees_in_touches_no_cold_page(void **state)
{
    (void)state;
    enum { SIZE = 16, N = 8 * SLICE_SIZE / SIZE };
    static void *blocks[N];
    harness_alloc_n(blocks, N, SIZE);
    struct span *s = harness_span(blocks[N / 2]); /* far from the lists, which are of the same kind */
    assert_false(is_cold_touched(s));
    harness_free_n(blocks, N);
    os_critical_enter();
    tcache_release_empty(tcache_self);
    os_critical_leave();
    assert_false(is_cold_touched(s));
    harness_alloc_n(blocks, N, SIZE);
    publish(harness_span(blocks[N / 2]));
    assert_true(is_cold_touched(harness_span(blocks[N / 2])));
    settle();
    harness_check();
}

/* Not in the table of slices, so that nobody else looks at it. */
static struct span *made_span(unsigned class_no)
{
    struct span *s = span_new(class_no, FLAVOR_MALLOC, heap_map.arena_base, 1, class_no == SIZECLASS_LARGE ? SLICE_SIZE : 0);
    assert_non_null(s);
    return s;
}

enum { N_KINDS = 4 };
static const uint32_t flag_of_kind[N_KINDS] = {0, SPAN_UNSWEPT, SPAN_TAKEN, SPAN_SUSPECT};

static uint64_t *bits_of_kind(struct span *s, int kind, uint32_t w)
{
    struct span_cold *cold = &span_cold(s)[w];
    uint64_t *bits[N_KINDS] = {&s->remote[w], &cold->dead, &cold->taken, &cold->suspect};
    return bits[kind];
}

static void a_descriptor_that_is_used_again_has_no_bits_of_the_span_before(void **state)
{
    (void)state;
    const unsigned classes[] = {sizeclass_of(64), SIZECLASS_LARGE};
    os_critical_enter();
    for (int i = 0; i < 2 * N_KINDS; i++) {
        struct span *s = made_span(classes[i / N_KINDS]);
        uint32_t last = s->n_words - 1;
        if (flag_of_kind[i % N_KINDS] != 0)
            span_flag_set(s, flag_of_kind[i % N_KINDS]);
        span_delete(s);
        *bits_of_kind(s, i % N_KINDS, last) = 1; /* a late freer's comes after the end */
        assert_ptr_equal(made_span(classes[i / N_KINDS]), s);
        for (uint32_t w = 0; w <= last; w++)
            for (int kind = 0; kind < N_KINDS; kind++)
                assert_int_equal(*bits_of_kind(s, kind, w), 0);
        span_delete(s);
    }
    os_critical_leave();
}

/* ---- what a child of a fork may find ---- */

static struct span *stepped;
static unsigned n_steps, n_without_flag;

static void look_at_each_instruction(int sig)
{
    (void)sig;
    n_steps++;
    for (uint32_t w = 0; w < stepped->n_words; w++)
        n_without_flag += span_cold(stepped)[w].taken != 0 && (span_flags(stepped) & SPAN_TAKEN) == 0;
}

static void sweep_step_by_step(struct span *s)
{
#if defined(__x86_64__)
    stepped = s;
    __asm__ volatile("subq $128, %%rsp; pushfq; orq $0x100, (%%rsp); popfq; addq $128, %%rsp" : : : "cc", "memory");
    span_sweep(s);
    __asm__ volatile("subq $128, %%rsp; pushfq; andq $~0x100, (%%rsp); popfq; addq $128, %%rsp" : : : "cc", "memory");
#else
    (void)s;
    skip();
#endif
}

static void the_flag_is_there_before_the_first_bit_is_taken(void **state)
{
    (void)state;
    const struct sigaction look = {.sa_handler = look_at_each_instruction};
    void *blocks[100];
    harness_needs_hardware();
    harness_alloc_n(blocks, 100, 112); /* of a size of which nothing was taken */
    struct span *s = harness_span(blocks[0]);
    settle();
    publish(s);
    assert_int_equal(span_flags(s) & (SPAN_UNSWEPT | SPAN_TAKEN), SPAN_UNSWEPT);
    assert_int_equal(sigaction(SIGTRAP, &look, NULL), 0);
    os_critical_enter();
    sweep_step_by_step(s);
    os_critical_leave();
    assert_true(n_steps > s->n_words && (span_flags(s) & SPAN_TAKEN) != 0);
    assert_int_equal(n_without_flag, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_that_nobody_else_frees_in_touches_no_cold_page),
        cmocka_unit_test(unmarked_blocks_become_dead_then_free_then_theirs),
        cmocka_unit_test(free_of_a_taken_block_is_counted_and_a_second_one_aborts),
        cmocka_unit_test(a_slot_handed_out_again_is_an_ordinary_block),
        cmocka_unit_test(blocks_allocated_after_the_stop_are_never_in_the_dead_set),
        cmocka_unit_test(a_remote_free_waits_for_its_owner_and_is_not_dead_meanwhile),
        cmocka_unit_test(second_free_by_the_owner_of_a_remotely_freed_block_aborts),
        cmocka_unit_test(flags_and_fast_owner_go_together),
        cmocka_unit_test(a_span_with_no_live_block_is_released_and_told),
        cmocka_unit_test(a_descriptor_that_is_used_again_has_no_bits_of_the_span_before),
        cmocka_unit_test(the_flag_is_there_before_the_first_bit_is_taken),
    };
    return cmocka_run_group_tests(tests, harness_setup, NULL);
}
