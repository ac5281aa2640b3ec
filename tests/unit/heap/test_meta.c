/* Pieces are zeroed, aligned, disjoint and reused; scratch keeps its address. */
#include "heap/window.h"

#include "heap_harness.h"

enum { N_PIECES = 500, N_STEPS = 20000, STEP_BYTES = 256 * 1024 };

static void pieces_are_zeroed_disjoint_and_reused(void **state)
{
    (void)state;
    static struct {
        unsigned char *p;
        size_t size;
    } pieces[N_PIECES];
    uint64_t rng = unit_seed();
    os_critical_enter();
    size_t used_half = 0;
    for (int i = 0; i < N_STEPS; i++) {
        size_t k = unit_below(&rng, N_PIECES);
        if (pieces[k].p != NULL) {
            for (size_t b = 0; b < pieces[k].size; b++)
                assert_int_equal(pieces[k].p[b], (unsigned char)k);
            meta_free(pieces[k].p, pieces[k].size);
            pieces[k].p = NULL;
            continue;
        }
        pieces[k].size = unit_below(&rng, 10) == 0 ? unit_below(&rng, 60000) + 1 : unit_below(&rng, 4096) + 1;
        pieces[k].p = meta_alloc(pieces[k].size);
        assert_non_null(pieces[k].p);
        assert_int_equal((uintptr_t)pieces[k].p % META_UNIT, 0);
        for (size_t b = 0; b < pieces[k].size; b++)
            assert_int_equal(pieces[k].p[b], 0);
        memset(pieces[k].p, (int)k, pieces[k].size);
        if (i >= N_STEPS / 2 && used_half == 0)
            used_half = meta_used_bytes();
    }
    assert_true(meta_used_bytes() < used_half + used_half / 2 + 1000000);
    os_critical_leave();
}

/* On no page lie pieces of both kinds, but where the two ends of a step meet: there all of one kind lie below the other's. */
static void check_apart(unsigned char *const *pieces, const size_t *sizes, const bool *are_sparse, int n, size_t n_steps)
{
    enum { PAGE = 4096, N_PAGES = 16384 };
    static unsigned highest[N_PAGES], lowest[N_PAGES]; /* in a page: end of what is dense, start of what is sparse */
    size_t n_shared = 0;
    for (size_t page = 0; page < N_PAGES; page++)
        lowest[page] = PAGE;
    for (int i = 0; i < n; i++) {
        size_t start = (uintptr_t)pieces[i] - window.meta, end = start + sizes[i];
        for (size_t at = start; at < end; at = (at / PAGE + 1) * PAGE) {
            size_t page = at / PAGE;
            assert_true(page < N_PAGES);
            unsigned last = end > (page + 1) * PAGE ? PAGE : (unsigned)(end - page * PAGE);
            if (are_sparse[i])
                lowest[page] = at % PAGE < lowest[page] ? at % PAGE : lowest[page];
            else
                highest[page] = last > highest[page] ? last : highest[page];
        }
    }
    for (size_t page = 0; page < N_PAGES; page++) {
        assert_true(highest[page] <= lowest[page]);
        n_shared += highest[page] != 0 && lowest[page] != PAGE;
    }
    assert_true(n_shared <= n_steps);
}

/* Pieces of the two kinds, in turn and of all sizes, over many steps of what is mapped. */
static void sparse_pieces_are_zeroed_and_apart_from_others(void **state)
{
    (void)state;
    enum { N = 4000 };
    static unsigned char *pieces[N];
    static size_t sizes[N];
    static bool are_sparse[N];
    uint64_t rng = unit_seed();
    os_critical_enter();
    size_t mapped = meta_mapped_bytes();
    for (int i = 0; i < N; i++) {
        bool is_sparse = are_sparse[i] = unit_below(&rng, 3) == 0;
        sizes[i] = unit_below(&rng, 50) == 0 ? unit_below(&rng, 600000) + 1 : unit_below(&rng, 3000) + 1;
        pieces[i] = is_sparse ? meta_alloc_sparse(sizes[i]) : meta_alloc(sizes[i]);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % META_UNIT, 0);
        for (size_t b = 0; b < sizes[i]; b++)
            assert_int_equal(pieces[i][b], 0);
        memset(pieces[i], i % 255 + 1, sizes[i]);
    }
    for (int i = 0; i < N; i++)
        for (size_t b = 0; b < sizes[i]; b++)
            assert_int_equal(pieces[i][b], i % 255 + 1);
    check_apart(pieces, sizes, are_sparse, N, (meta_mapped_bytes() - mapped) / STEP_BYTES + 1);
    os_critical_leave();
}

static void a_reference_leads_back_to_its_piece(void **state)
{
    (void)state;
    os_critical_enter();
    void *p = meta_alloc(200);
    os_critical_leave();
    assert_ptr_equal(span_of_ref(meta_ref(p)), p);
    assert_int_not_equal(meta_ref(p), 0);
}

static void scratch_grows_in_place_and_keeps_its_content(void **state)
{
    (void)state;
    os_critical_enter();
    char *p = meta_scratch_reserve(SCRATCH_OTHER, 1000);
    assert_non_null(p);
    p[999] = 7;
    assert_ptr_equal(meta_scratch_reserve(SCRATCH_OTHER, 5000000), p);
    assert_int_equal(p[999], 7);
    p[4999999] = 8;
    assert_true(meta_scratch_size(SCRATCH_OTHER) >= 5000000);
    meta_scratch_release(SCRATCH_OTHER, 4096);
    assert_int_equal(p[999], 7);
    assert_int_equal(p[4999999], 0);
    assert_null(meta_scratch_reserve(SCRATCH_OTHER, (size_t)1 << 50));
    assert_ptr_not_equal(meta_scratch_reserve(SCRATCH_ROOTS, 1), p);
    os_critical_leave();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_zeroed_disjoint_and_reused),
        cmocka_unit_test(sparse_pieces_are_zeroed_and_apart_from_others),
        cmocka_unit_test(a_reference_leads_back_to_its_piece),
        cmocka_unit_test(scratch_grows_in_place_and_keeps_its_content),
    };
    return cmocka_run_group_tests(tests, harness_setup, NULL);
}
