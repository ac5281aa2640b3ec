/* Leaks rings and trees with parent links: what reference counting never gets back.
 *
 * usage: leak_cycles total_mb limit_mb
 * Proves: cyclic garbage is reclaimed; cyclic structures that are held by one pointer into their middle stay
 * whole.
 */
#include <stddef.h>
#include "test_util.h"

#define N_LIVE 64u
#define RING_NODES 200u
#define TREE_DEPTH 7u
#define PAYLOAD_BYTES 96u

struct node {
    struct node *prev, *next; /* ring; in a tree: children */
    struct node *parent;      /* tree; in a ring: the node itself */
    uint32_t seed;
    unsigned char payload[PAYLOAD_BYTES];
};

struct live {
    struct node *entry; /* a pointer to some node's payload, never to a node's start */
    uint32_t seed;
    int is_tree;
};

static struct live live[N_LIVE];
static uint64_t allocated;

static struct node *node_new(uint32_t seed)
{
    struct node *n = malloc(sizeof(*n));
    if (n == NULL)
        TEST_FAIL("malloc failed");
    allocated += sizeof(*n);
    *n = (struct node){.parent = n, .seed = seed};
    test_fill(n->payload, sizeof(n->payload), seed);
    return n;
}

static struct node *ring_new(uint32_t seed)
{
    struct node *first = node_new(seed);
    first->next = first->prev = first;
    for (uint32_t i = 1; i < RING_NODES; i++) {
        struct node *n = node_new(seed + i);
        n->prev = first->prev;
        n->next = first;
        first->prev->next = n;
        first->prev = n;
    }
    return first;
}

static struct node *tree_new(struct node *parent, uint32_t seed, unsigned depth)
{
    struct node *n = node_new(seed);
    n->parent = parent != NULL ? parent : n;
    if (depth > 0) {
        n->prev = tree_new(n, seed * 2, depth - 1);
        n->next = tree_new(n, seed * 2 + 1, depth - 1);
    }
    return n;
}

static void node_verify(const struct node *n, uint32_t seed)
{
    if (n->seed != seed || !test_is_filled(n->payload, sizeof(n->payload), seed))
        TEST_FAIL("a node of a live structure changed");
}

static void ring_verify(const struct node *first, uint32_t seed)
{
    const struct node *n = first;
    for (uint32_t i = 0; i < RING_NODES; i++, n = n->next) {
        node_verify(n, seed + i);
        if (n->next->prev != n)
            TEST_FAIL("a live ring is broken");
    }
    TEST_CHECK(n == first);
}

static void tree_verify(const struct node *n, uint32_t seed, unsigned depth)
{
    node_verify(n, seed);
    if (depth == 0)
        return;
    TEST_CHECK(n->prev->parent == n && n->next->parent == n);
    tree_verify(n->prev, seed * 2, depth - 1);
    tree_verify(n->next, seed * 2 + 1, depth - 1);
}

static struct node *entry_of(struct node *n)
{
    return (struct node *)n->payload;
}

static struct node *node_of(struct node *entry)
{
    return (struct node *)((char *)entry - offsetof(struct node, payload));
}

static void live_verify(const struct live *l)
{
    if (l->entry == NULL)
        return;
    if (!l->is_tree) {
        ring_verify(node_of(l->entry), l->seed);
        return;
    }
    const struct node *n = node_of(l->entry); /* a leaf: climb to the root */
    while (n->parent != n)
        n = n->parent;
    tree_verify(n, l->seed, TREE_DEPTH);
}

static void live_replace(struct live *l, uint32_t seed, int is_tree)
{
    struct node *n = is_tree ? tree_new(NULL, seed, TREE_DEPTH) : ring_new(seed);
    while (is_tree && n->next != NULL)
        n = n->next;
    *l = (struct live){.entry = entry_of(n), .seed = seed, .is_tree = is_tree};
}

int main(int argc, char **argv)
{
    if (argc != 3)
        TEST_FAIL("usage: leak_cycles total_mb limit_mb");
    uint64_t total = strtoull(argv[1], NULL, 10) << 20;
    long limit_mb = strtol(argv[2], NULL, 10);
    uint64_t random = test_env_number("GCM_SEED", 1);
    while (allocated < total) {
        uint64_t r = test_random(&random);
        struct live *l = &live[r % N_LIVE];
        live_verify(l);
        live_replace(l, (uint32_t)(r >> 32), (r >> 8) & 1);
    }
    for (unsigned i = 0; i < N_LIVE; i++)
        live_verify(&live[i]);

    long peak_mb = test_peak_rss_mb();
    printf("allocated %llu MB, peak %ld MB\n", (unsigned long long)(allocated >> 20), peak_mb);
    if (peak_mb <= 0 || peak_mb >= limit_mb)
        TEST_FAIL("peak resident %ld MB, limit %ld MB", peak_mb, limit_mb);
    return 0;
}
