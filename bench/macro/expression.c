/* Symbolic algebra: random expressions are built, differentiated (which copies and rewrites subtrees),
 * simplified and evaluated, then freed. Nodes of 32 bytes, freed in the order of the tree and not of their
 * allocation. */
#include "bench.h"

enum { EXPRESSIONS_PER_SCALE = 2000, DEPTH = 7 };
enum kind { KIND_NUMBER, KIND_VARIABLE, KIND_SUM, KIND_PRODUCT };

struct node {
    enum kind kind;
    struct node *left, *right;
    uint64_t value;
};

static struct node *node_new(enum kind kind, struct node *left, struct node *right, uint64_t value)
{
    struct node *node = bench_malloc(sizeof *node);
    *node = (struct node){kind, left, right, value};
    return node;
}

static void node_free(struct node *node)
{
    if (node == NULL)
        return;
    node_free(node->left);
    node_free(node->right);
    free(node);
}

static struct node *node_copy(const struct node *node)
{
    return node == NULL ? NULL
                        : node_new(node->kind, node_copy(node->left), node_copy(node->right), node->value);
}

static struct node *node_random(struct bench_rng *rng, unsigned depth)
{
    uint32_t chance = bench_rng_below(rng, 8);
    if (depth == 0 || chance == 0)
        return chance < 4 ? node_new(KIND_VARIABLE, NULL, NULL, 0)
                          : node_new(KIND_NUMBER, NULL, NULL, chance);
    struct node *left = node_random(rng, depth - 1);
    return node_new(chance < 5 ? KIND_SUM : KIND_PRODUCT, left, node_random(rng, depth - 1), 0);
}

static struct node *node_derive(const struct node *node)
{
    if (node->kind <= KIND_VARIABLE)
        return node_new(KIND_NUMBER, NULL, NULL, node->kind == KIND_VARIABLE);
    if (node->kind == KIND_SUM)
        return node_new(KIND_SUM, node_derive(node->left), node_derive(node->right), 0);
    return node_new(KIND_SUM, node_new(KIND_PRODUCT, node_derive(node->left), node_copy(node->right), 0),
                    node_new(KIND_PRODUCT, node_copy(node->left), node_derive(node->right), 0), 0);
}

static int node_is_number(const struct node *node, uint64_t value)
{
    return node->kind == KIND_NUMBER && node->value == value;
}

/* The one of the two sides that is left over; the node and the other side are freed. */
static struct node *node_keep(struct node *node, struct node *kept)
{
    node_free(kept == node->left ? node->right : node->left);
    free(node);
    return kept;
}

/* 0 + x, 1 * x and 0 * x in either order. */
static struct node *node_simplify(struct node *node)
{
    if (node->kind <= KIND_VARIABLE)
        return node;
    node->left = node_simplify(node->left);
    node->right = node_simplify(node->right);
    uint64_t neutral = node->kind == KIND_PRODUCT;
    int is_product = node->kind == KIND_PRODUCT;
    if (node_is_number(node->left, neutral) || (is_product && node_is_number(node->right, 0)))
        return node_keep(node, node->right);
    if (node_is_number(node->right, neutral) || (is_product && node_is_number(node->left, 0)))
        return node_keep(node, node->left);
    return node;
}

static uint64_t node_eval(const struct node *node, uint64_t x)
{
    switch (node->kind) {
    case KIND_NUMBER:
        return node->value;
    case KIND_VARIABLE:
        return x;
    case KIND_SUM:
        return node_eval(node->left, x) + node_eval(node->right, x);
    default:
        return node_eval(node->left, x) * node_eval(node->right, x);
    }
}

int main(int argc, char **argv)
{
    struct bench_rng rng = bench_rng_seed(9);
    uint64_t sum = 0;
    for (unsigned n = EXPRESSIONS_PER_SCALE * bench_scale(argc, argv); n > 0; n--) {
        struct node *f = node_random(&rng, DEPTH);
        struct node *df = node_simplify(node_derive(f));
        sum = sum * 7 + node_eval(f, n) + node_eval(df, n);
        node_free(f);
        node_free(df);
    }
    bench_print_checksum(sum);
    return 0;
}
