/* The marker against explicit root ranges: which words count, what is scanned, and that nothing is lost when
 * the stack is full or a page cannot be read. */
#include "gc/mark.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "gc_blocks.h"
#include "gc_graph.h"
#include "../unit_seed.h"
#include "gc/mark_team.h"

#define BOX (UINT64_C(0xfff) << 52)

static void *roots[8];

/* ---- which words count ---- */

static bool words_mark(uint64_t *words, size_t n_words, const void *p)
{
    gc_block_mark_begin();
    mark_words((uintptr_t)words, (uintptr_t)(words + n_words));
    assert_true(mark_drain());
    bool is_marked = GC_IS_MARKED(p);
    gc_block_mark_end();
    return is_marked;
}

/* Among roots, and wherever it lies in a block: small ones are read in another way. */
static bool word_marks(uint64_t word, const void *p)
{
    bool is_marked = words_mark(&word, 1, p);
    for (size_t n_words = 2; n_words <= 8; n_words += 2) {
        uint64_t *holder = gc_block(FLAVOR_GC, n_words * sizeof(word)), root = (uintptr_t)holder;
        memset(holder, 0, n_words * sizeof(word));
        for (size_t i = 0; i < n_words; i++) {
            holder[i] = word;
            assert_int_equal(words_mark(&root, 1, p), is_marked);
            holder[i] = 0;
        }
        gc_block_free(holder);
    }
    return is_marked;
}

static void test_words(void **state)
{
    (void)state;
    char *p = gc_block(FLAVOR_MALLOC, 80);
    uint64_t w = (uintptr_t)p;
    assert_true(word_marks(w, p));
    assert_true(word_marks(w + 1, p));
    assert_true(word_marks(w + 79, p));
    assert_false(word_marks(w + 80, p));
    assert_false(word_marks(w - 1, p));
    assert_true(word_marks(w | UINT64_C(0x1234) << 48, p)); /* tags above bit 47 */
    assert_true(word_marks(w | UINT64_C(0xffff) << 48, p));
    assert_false(word_marks(w | UINT64_C(1) << 47, p)); /* bit 47 alone is no tag */
    assert_false(word_marks(w | UINT64_C(0x7ff8) << 48 | UINT64_C(1) << 47, p));
    assert_true(word_marks(w | BOX | UINT64_C(1) << 47, p)); /* NaN box */
    assert_true(word_marks(w | UINT64_C(0xfffb) << 48 | UINT64_C(1) << 47, p));
    assert_false(word_marks(~w, p));
    gc_block_free(p);
    assert_false(word_marks(w, p));
}

static void test_every_class_and_slot(void **state)
{
    (void)state;
    for (unsigned c = 0; c < SIZECLASS_N; c++) {
        uint32_t size = sizeclass_size(c), bytes = sizeclass_span_slices(c) * SLICE_SIZE, n = bytes / size;
        struct slice e = {.recip = sizeclass_recip(size)};
        uint32_t last_idx = slice_block_idx(&e, bytes - 1);
        /* slack behind the last block finds a word of the same span */
        assert_true(last_idx / 64 < (n + 63) / 64);
        char *p = gc_block(FLAVOR_MALLOC, size), *q = gc_block(FLAVOR_MALLOC, size);
        assert_true(word_marks((uintptr_t)p + size - 1, p));
        assert_false(word_marks((uintptr_t)p + size - 1, q));
        gc_block_free(p);
        gc_block_free(q);
    }
}

static void test_large_blocks(void **state)
{
    (void)state;
    char *p = gc_block(FLAVOR_MALLOC, 100000); /* usable 102400, in two slices */
    assert_true(word_marks((uintptr_t)p, p));
    assert_true(word_marks((uintptr_t)p + 102399, p));
    assert_false(word_marks((uintptr_t)p + 102400, p)); /* slack behind it */
    gc_block_free(p);
    assert_false(word_marks((uintptr_t)p, p));
}

static void test_partial_words_are_left_out(void **state)
{
    (void)state;
    void *p = gc_block(FLAVOR_MALLOC, 32);
    struct {
        void *words[3];
    } range = {{p, NULL, p}};
    uintptr_t at = (uintptr_t)&range;
    gc_block_mark_begin();
    mark_words(at + 1, at + 23);
    mark_words(at + 8, at + 8);
    mark_words(at + 7, at + 9);
    assert_true(mark_drain());
    assert_false(GC_IS_MARKED(p));
    mark_words(at + 1, at + 24);
    assert_true(mark_drain());
    assert_true(GC_IS_MARKED(p));
    gc_block_mark_end();
}

static void test_unaligned_words(void **state)
{
    (void)state;
    void *p = gc_block(FLAVOR_MALLOC, 32), *q = gc_block(FLAVOR_MALLOC, 32);
    struct {
        uint32_t events;
        void *data __attribute__((packed));
    } packed[2] = {{1, p}, {2, q}};
    gc_block_mark_begin();
    mark_words((uintptr_t)packed, (uintptr_t)(packed + 1));
    assert_true(mark_drain());
    assert_false(GC_IS_MARKED(p));
    mark_words_unaligned((uintptr_t)packed, (uintptr_t)(packed + 2));
    assert_true(mark_drain());
    assert_true(GC_IS_MARKED(p) && GC_IS_MARKED(q));
    gc_block_mark_end();
}

/* ---- what is scanned ---- */

static void test_reachable_through_blocks(void **state)
{
    (void)state;
    void **a = gc_block(FLAVOR_MALLOC, 64), **b = gc_block(FLAVOR_GC, 5000),
         **c = gc_block(FLAVOR_MALLOC, 300000);
    void **noscan = gc_block(FLAVOR_GC_NOSCAN, 64), **d = gc_block(FLAVOR_MALLOC, 16),
         *hidden = gc_block(FLAVOR_MALLOC, 16);
    a[7] = b;
    b[600] = c;
    c[37000] = d;
    d[0] = a; /* a cycle */
    d[1] = noscan;
    noscan[0] = hidden;
    roots[0] = a;
    gc_block_mark_begin();
    GC_MARK_WORDS(roots);
    assert_true(mark_drain());
    assert_true(GC_IS_MARKED(a) && GC_IS_MARKED(b) && GC_IS_MARKED(c) && GC_IS_MARKED(d) &&
                GC_IS_MARKED(noscan));
    assert_false(GC_IS_MARKED(hidden));
    gc_block_mark_end();
}

static void test_content_without_the_block(void **state)
{
    (void)state;
    void **a = gc_block(FLAVOR_MALLOC, 64), *b = gc_block(FLAVOR_MALLOC, 64);
    void **noscan = gc_block(FLAVOR_GC_NOSCAN, 64), *c = gc_block(FLAVOR_MALLOC, 64);
    a[0] = b;
    noscan[0] = c;
    gc_block_mark_begin();
    mark_block_content((uintptr_t)a);
    mark_block_content((uintptr_t)noscan);
    assert_true(mark_drain());
    assert_true(GC_IS_MARKED(b));
    assert_false(GC_IS_MARKED(a) || GC_IS_MARKED(noscan) || GC_IS_MARKED(c));
    mark_addr_block((uintptr_t)noscan + 5);
    mark_addr_block(0);
    mark_addr_block(UINTPTR_MAX);
    assert_true(mark_drain());
    assert_true(GC_IS_MARKED(noscan));
    gc_block_mark_end();
}

static void test_flavors_that_are_roots(void **state)
{
    (void)state;
    void **root = gc_block(FLAVOR_ROOT, 32), **root_noscan = gc_block(FLAVOR_ROOT_NOSCAN, 90000);
    void **plain = gc_block(FLAVOR_MALLOC, 32), *a = gc_block(FLAVOR_GC, 32), *b = gc_block(FLAVOR_GC, 32);
    void *c = gc_block(FLAVOR_GC, 32);
    root[1] = a;
    root_noscan[1] = b;
    plain[1] = c;
    gc_block_mark_begin();
    mark_root_spans(false);
    assert_true(mark_drain());
    assert_true(GC_IS_MARKED(root) && GC_IS_MARKED(root_noscan) && GC_IS_MARKED(a));
    assert_false(GC_IS_MARKED(plain) || GC_IS_MARKED(b) || GC_IS_MARKED(c));
    mark_root_spans(true);
    assert_true(mark_drain());
    assert_true(GC_IS_MARKED(plain) && GC_IS_MARKED(c));
    assert_false(GC_IS_MARKED(b));
    gc_block_mark_end();
}

/* ---- a stack that is too small ---- */

enum { N_LEAVES = 200000 };

static void test_overflow(void **state)
{
    (void)state;
    void **top = gc_block(FLAVOR_MALLOC, N_LEAVES * sizeof(void *));
    static void *leaves[N_LEAVES];
    for (size_t i = 0; i < N_LEAVES; i++) {
        void **mid = top[i] = gc_block(FLAVOR_MALLOC, 32);
        leaves[i] = mid[2] = gc_block(FLAVOR_MALLOC, 16);
    }
    roots[0] = top;
    mark_set_stack_limit(1);
    gc_block_mark_begin();
    GC_MARK_WORDS(roots);
    assert_true(mark_drain());
    size_t n_marked = 0;
    for (size_t i = 0; i < N_LEAVES; i++)
        n_marked += GC_IS_MARKED(top[i]) && GC_IS_MARKED(leaves[i]);
    assert_int_equal(n_marked, N_LEAVES);
    assert_true(mark_stats.n_overflows > 0);
    gc_block_mark_end();
    mark_set_stack_limit(0);
}

/* Without the limit a huge array does not flood the stack: it is taken in pieces. */
static void test_huge_array_in_pieces(void **state)
{
    (void)state;
    gc_block_mark_begin();
    GC_MARK_WORDS(roots);
    assert_true(mark_drain());
    assert_int_equal(mark_stats.n_overflows, 0);
    assert_true(mark_stats.stack_peak_bytes < mark_team_size() * N_LEAVES * sizeof(uint64_t) / 4);
    gc_block_mark_end();
}

/* ---- pages ---- */

static size_t resident_pages(void *p, size_t size_bytes)
{
    size_t n = 0;
    static unsigned char pages[1 << 16];
    assert_true(size_bytes / 4096 <= sizeof(pages));
    assert_int_equal(mincore(p, size_bytes, pages), 0);
    for (size_t i = 0; i < size_bytes / 4096; i++)
        n += pages[i] & 1;
    return n;
}

static void test_untouched_pages_stay_untouched(void **state)
{
    (void)state;
    enum { BYTES = 128 << 20, STEP = 1 << 20 };
    bool is_zero;
    os_critical_enter();
    char *p = heap_large_alloc(BYTES, 16, FLAVOR_MALLOC, &is_zero);
    os_critical_leave();
    if (!is_zero)
        os_vm_purge(p, BYTES);
    static void *targets[BYTES / STEP];
    for (size_t i = 0; i < BYTES / STEP; i++) {
        targets[i] = gc_block(FLAVOR_MALLOC, 16);
        *(void **)(p + i * STEP + 40 * 8 * i) = targets[i];
    }
    size_t before = resident_pages(p, BYTES);
    roots[0] = p;
    for (size_t n_entries = 0; n_entries <= 1; n_entries++) { /* plenty, and the least */
        mark_set_stack_limit(n_entries);
        os_critical_enter();
        assert_int_equal(os_pages_prepare(), 0);
        os_critical_leave();
        gc_block_mark_begin();
        GC_MARK_WORDS(roots);
        assert_true(mark_drain());
        for (size_t i = 0; i < BYTES / STEP; i++)
            assert_true(GC_IS_MARKED(targets[i]));
        gc_block_mark_end();
        os_pages_finish();
    }
    mark_set_stack_limit(0);
    assert_int_equal(resident_pages(p, BYTES), before);
    gc_block_free(p);
}

static void test_unreadable_page(void **state)
{
    (void)state;
    char *p = gc_block(FLAVOR_MALLOC, 40 * 4096);
    void *before = gc_block(FLAVOR_MALLOC, 16), *inside = gc_block(FLAVOR_MALLOC, 16),
         *behind = gc_block(FLAVOR_MALLOC, 16), *packed = gc_block(FLAVOR_MALLOC, 16);
    *(void **)p = before;
    memcpy(p + 20 * 4096 + 36, &packed, sizeof(packed));
    *(void **)(p + 20 * 4096 + 16) = inside;
    *(void **)(p + 39 * 4096) = behind;
    roots[0] = p;
    assert_int_equal(mprotect(p + 20 * 4096, 4096, PROT_NONE), 0);
    gc_block_mark_begin();
    GC_MARK_WORDS(roots);
    assert_true(mark_drain());
    assert_true(mark_stats.n_faults > 0);
    assert_true(GC_IS_MARKED(before) && GC_IS_MARKED(inside) && GC_IS_MARKED(behind) && GC_IS_MARKED(packed));
    gc_block_mark_end();
    assert_int_equal(mprotect(p + 20 * 4096, 4096, PROT_READ | PROT_WRITE), 0);
    gc_block_free(p);
}

static void test_missing_page_voids(void **state)
{
    (void)state;
    char *p = gc_block(FLAVOR_MALLOC, 40 * 4096);
    roots[0] = p;
    assert_int_equal(munmap(p + 20 * 4096, 4096), 0);
    gc_block_mark_begin();
    GC_MARK_WORDS(roots);
    assert_false(mark_drain());
    gc_block_mark_end();
    assert_ptr_equal(
        mmap(p + 20 * 4096, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
        p + 20 * 4096);
    gc_block_free(p);
}

/* ---- random graphs against a model ---- */

static bool give_roots_again(void *ctx)
{
    (void)ctx;
    GC_MARK_WORDS(roots);
    return true;
}

static void hash_free_bits(struct span *s, void *ctx)
{
    uint64_t *hash = ctx;
    for (uint32_t w = 0; w < s->n_words; w++) {
        *hash = *hash * 31 + s->words[w].free;
        assert_int_equal(span_cold(s)[w].dead, 0);
    }
}

/* Which slots are free. The second of two markers borrows these bits. */
static uint64_t free_bits(void)
{
    uint64_t hash = 0;
    heap_walk_spans(hash_free_bits, &hash);
    return hash;
}

static void graph_compare(bool is_checked)
{
    gc_block_mark_begin();
    uint64_t before = free_bits();
    GC_MARK_WORDS(roots);
    assert_true(mark_drain());
    assert_int_equal(free_bits(), before);
    if (is_checked)
        assert_true(mark_check(give_roots_again, NULL));
    for (size_t i = 0; i < N_NODES; i++)
        assert_int_equal(GC_IS_MARKED(nodes[i].block), nodes[i].is_reached);
    gc_block_mark_end();
}

static void test_random_graphs(void **state)
{
    (void)state;
    uint64_t seed = unit_seed();
    for (int round = 0; round < 4; round++) {
        memset(roots, 0, sizeof(roots));
        graph_make(&seed);
        for (size_t i = 0; i < 2; i++) {
            uint32_t first = (uint32_t)unit_below(&seed, N_NODES);
            roots[i] = nodes[first].block;
            graph_reach(first);
        }
        graph_compare(round == 0);
        mark_set_stack_limit(128);
        graph_compare(round == 1);
        mark_set_stack_limit(0);
        for (size_t i = 0; i < N_NODES; i++)
            gc_block_free(nodes[i].block);
    }
}

/* ---- several markers ---- */

static uint32_t n_started;

static int start_thread(void *(*fn)(void *), void *arg)
{
    pthread_t id;
    n_started++;
    return pthread_create(&id, NULL, fn, arg);
}

/* Helpers come in whenever they wake: each round is another interleaving, with and without a stack that is
 * too small. */
static void team_mark_graphs(void)
{
    uint64_t seed = unit_seed();
    memset(roots, 0, sizeof(roots));
    graph_make(&seed);
    for (size_t i = 0; i < 2; i++) {
        uint32_t first = (uint32_t)unit_below(&seed, N_NODES);
        roots[i] = nodes[first].block;
        graph_reach(first);
    }
    int n_helped = 0;
    for (int round = 0; round < 60 || (n_helped < 10 && round < 5000); round++) {
        mark_set_stack_limit(round % 3 == 2 ? 128 : 0);
        graph_compare(round % 20 == 0);
        n_helped += mark_stats.n_helpers != 0;
    }
    assert_true(n_helped > 0);
    mark_set_stack_limit(0);
    for (size_t i = 0; i < N_NODES; i++)
        gc_block_free(nodes[i].block);
}

static void test_team(void **state)
{
    (void)state;
    mark_team_config(4);
    mark_team_set_min_heap(0);
    mark_team_poke(); /* no starter yet */
    assert_int_equal(mark_team_size(), 1);
    mark_team_set_starter(start_thread);
    mark_team_poke();
    mark_team_poke();
    assert_int_equal(n_started, 3);
    assert_int_equal(mark_team_size(), 4);
    team_mark_graphs();
}

/* Each of two has bits of its own. */
static void test_team_of_two(void **state)
{
    (void)state;
    mark_team_end();
    assert_int_equal(mark_team_size(), 1);
    mark_team_config(2);
    mark_team_poke();
    assert_int_equal(mark_team_size(), 2);
    team_mark_graphs();
}

/* A page that is gone voids the cycle, whoever comes upon it. */
static void test_team_missing_page(void **state)
{
    for (int round = 0; round < 10; round++)
        test_missing_page_voids(state);
    test_unreadable_page(state);
}

static int setup(void **state)
{
    (void)state;
    gc_block_heap_setup();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_every_class_and_slot),
        cmocka_unit_test(test_large_blocks),
        cmocka_unit_test(test_partial_words_are_left_out),
        cmocka_unit_test(test_unaligned_words),
        cmocka_unit_test(test_reachable_through_blocks),
        cmocka_unit_test(test_content_without_the_block),
        cmocka_unit_test(test_flavors_that_are_roots),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_huge_array_in_pieces),
        cmocka_unit_test(test_untouched_pages_stay_untouched),
        cmocka_unit_test(test_unreadable_page),
        cmocka_unit_test(test_missing_page_voids),
        cmocka_unit_test(test_random_graphs),
        cmocka_unit_test(test_team), /* from here on there are helpers */
        cmocka_unit_test(test_team_missing_page),
        cmocka_unit_test(test_team_of_two), /* and now there is one */
        cmocka_unit_test(test_team_missing_page),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_huge_array_in_pieces),
        cmocka_unit_test(test_untouched_pages_stay_untouched),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
