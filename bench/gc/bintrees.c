/* binary-trees: one long-lived tree, and very many complete trees of even depths that are built, counted,
 * dropped. A node is two pointers, so what a memory manager adds to 16 bytes decides much. BINTREES_THREADS
 * threads share the work. */
#include "alloc.h"

enum { FIRST_DEPTH = 12, MIN_DEPTH = 4 };

struct node {
    struct node *left, *right;
};

struct task {
    unsigned max_depth, part;
    uint64_t sum;
};

static struct node *tree_new(unsigned depth)
{
    struct node *node = alloc_new(sizeof *node);
    node->left = depth > 0 ? tree_new(depth - 1) : NULL;
    node->right = depth > 0 ? tree_new(depth - 1) : NULL;
    return node;
}

static uint64_t tree_count(const struct node *node)
{
    return node == NULL ? 0 : 1 + tree_count(node->left) + tree_count(node->right);
}

static void tree_drop(struct node *node)
{
    if (!alloc_needs_free() || node == NULL)
        return;
    tree_drop(node->left);
    tree_drop(node->right);
    alloc_drop(node);
}

static void *task_run(void *arg)
{
    struct task *task = arg;
    for (unsigned depth = MIN_DEPTH; depth <= task->max_depth; depth += 2) {
        unsigned n_trees = 1u << (task->max_depth - depth + MIN_DEPTH);
        for (unsigned n = task->part; n < n_trees; n += BINTREES_THREADS) {
            struct node *tree = tree_new(depth);
            task->sum += tree_count(tree) * depth;
            tree_drop(tree);
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned max_depth = FIRST_DEPTH + alloc_scale_bits(bench_scale(argc, argv));
    struct task tasks[BINTREES_THREADS];
    pthread_t threads[BINTREES_THREADS];
    alloc_init();
    struct node *lasting = tree_new(max_depth);
    for (unsigned t = 0; t < BINTREES_THREADS; t++) {
        tasks[t] = (struct task){max_depth, t, 0};
        if (t > 0)
            threads[t] = bench_thread_start(task_run, &tasks[t]);
    }
    task_run(&tasks[0]);
    uint64_t sum = tasks[0].sum + tree_count(lasting);
    for (unsigned t = 1; t < BINTREES_THREADS; t++) {
        pthread_join(threads[t], NULL);
        sum += tasks[t].sum;
    }
    tree_drop(lasting);
    bench_print_checksum(sum);
    return 0;
}
