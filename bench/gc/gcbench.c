/* The classic mix for collectors: a tree and an array that live throughout, and around them trees of every
 * depth that are built downwards (children hung into existing nodes) and upwards (children first), and
 * dropped at once. */
#include "alloc.h"

enum { FIRST_DEPTH = 12, MIN_DEPTH = 4, STRETCH_BITS = 2 };

struct node {
    struct node *left, *right;
    long i, j;
};

static struct node *node_new(struct node *left, struct node *right)
{
    struct node *node = alloc_new(sizeof *node);
    *node = (struct node){left, right, 1, 0};
    return node;
}

static struct node *tree_upwards(unsigned depth)
{
    if (depth == 0)
        return node_new(NULL, NULL);
    struct node *left = tree_upwards(depth - 1);
    return node_new(left, tree_upwards(depth - 1));
}

static void tree_hang(struct node *node, unsigned depth)
{
    if (depth == 0)
        return;
    node->left = node_new(NULL, NULL);
    node->right = node_new(NULL, NULL);
    tree_hang(node->left, depth - 1);
    tree_hang(node->right, depth - 1);
}

static struct node *tree_downwards(unsigned depth)
{
    struct node *root = node_new(NULL, NULL);
    tree_hang(root, depth);
    return root;
}

static uint64_t tree_count(const struct node *node)
{
    return node == NULL ? 0 : (uint64_t)node->i + tree_count(node->left) + tree_count(node->right);
}

static void tree_drop(struct node *node)
{
    if (!alloc_needs_free() || node == NULL)
        return;
    tree_drop(node->left);
    tree_drop(node->right);
    alloc_drop(node);
}

/* As many trees of this depth as make up twice the stretch tree, built one way and then the other. */
static uint64_t trees_build(unsigned depth, unsigned stretch_depth)
{
    uint64_t sum = 0, n_trees = 2 * ((UINT64_C(2) << stretch_depth) / (UINT64_C(2) << depth));
    for (uint64_t n = 0; n < n_trees; n++) {
        struct node *tree = tree_downwards(depth);
        sum += (uint64_t)tree->left->i;
        tree_drop(tree);
    }
    for (uint64_t n = 0; n < n_trees; n++) {
        struct node *tree = tree_upwards(depth);
        sum += (uint64_t)tree->right->i;
        tree_drop(tree);
    }
    return sum;
}

int main(int argc, char **argv)
{
    unsigned max_depth = FIRST_DEPTH + alloc_scale_bits(bench_scale(argc, argv)), n_doubles = 4u << max_depth;
    alloc_init();
    tree_drop(tree_upwards(max_depth + STRETCH_BITS));
    struct node *lasting = tree_downwards(max_depth);
    double *numbers = alloc_new_noscan(n_doubles * sizeof *numbers);
    for (unsigned i = 0; i < n_doubles; i++)
        numbers[i] = 1.0 / (i + 1);
    uint64_t sum = 0;
    for (unsigned depth = MIN_DEPTH; depth <= max_depth; depth += 2)
        sum += trees_build(depth, max_depth + STRETCH_BITS);
    sum += tree_count(lasting) + (uint64_t)(1.0 / numbers[n_doubles / 2]);
    tree_drop(lasting);
    alloc_drop(numbers);
    bench_print_checksum(sum);
    return 0;
}
