/* Matrices as arrays of rows, one block a row, of sizes that change from one product to the next: temporaries
 * are made and dropped as numeric code does. Rows of 64 bytes to 2 KiB; the arithmetic keeps the caches busy.
 */
#include "bench.h"

enum { PRODUCTS_PER_SCALE = 800, MIN_ROWS = 8, MAX_ROWS = 128 };

struct matrix {
    unsigned n_rows, n_columns;
    uint32_t **rows;
};

static struct matrix matrix_new(unsigned n_rows, unsigned n_columns)
{
    struct matrix m = {n_rows, n_columns, bench_malloc(n_rows * sizeof *m.rows)};
    for (unsigned r = 0; r < n_rows; r++)
        m.rows[r] = bench_checked(calloc(n_columns, sizeof **m.rows));
    return m;
}

static void matrix_free(struct matrix m)
{
    for (unsigned r = 0; r < m.n_rows; r++)
        free(m.rows[r]);
    free(m.rows);
}

static struct matrix matrix_random(unsigned n_rows, unsigned n_columns, struct bench_rng *rng)
{
    struct matrix m = matrix_new(n_rows, n_columns);
    for (unsigned r = 0; r < n_rows; r++)
        for (unsigned c = 0; c < n_columns; c++)
            m.rows[r][c] = (uint32_t)bench_rng_next(rng);
    return m;
}

static struct matrix matrix_transpose(struct matrix a)
{
    struct matrix t = matrix_new(a.n_columns, a.n_rows);
    for (unsigned r = 0; r < a.n_rows; r++)
        for (unsigned c = 0; c < a.n_columns; c++)
            t.rows[c][r] = a.rows[r][c];
    return t;
}

/* a times the transpose of t, so that both are walked along their rows. */
static struct matrix matrix_multiply(struct matrix a, struct matrix t)
{
    struct matrix p = matrix_new(a.n_rows, t.n_rows);
    for (unsigned r = 0; r < a.n_rows; r++)
        for (unsigned c = 0; c < t.n_rows; c++)
            for (unsigned k = 0; k < a.n_columns; k++)
                p.rows[r][c] += a.rows[r][k] * t.rows[c][k];
    return p;
}

static uint64_t product_sum(struct bench_rng *rng)
{
    unsigned n = MIN_ROWS + bench_rng_below(rng, MAX_ROWS - MIN_ROWS);
    unsigned k =
        MIN_ROWS + bench_rng_below(rng, MIN_ROWS); /* thin, so that allocation is a part that shows */
    struct matrix a = matrix_random(n, k, rng), b = matrix_random(k, n, rng);
    struct matrix t = matrix_transpose(b);
    struct matrix p = matrix_multiply(a, t);
    uint64_t sum = p.rows[0][0] + ((uint64_t)p.rows[n - 1][n - 1] << 20);
    matrix_free(a);
    matrix_free(b);
    matrix_free(t);
    matrix_free(p);
    return sum;
}

int main(int argc, char **argv)
{
    struct bench_rng rng = bench_rng_seed(11);
    uint64_t sum = 0;
    for (unsigned n = PRODUCTS_PER_SCALE * bench_scale(argc, argv); n > 0; n--)
        sum = sum * 5 + product_sum(&rng);
    bench_print_checksum(sum);
    return 0;
}
