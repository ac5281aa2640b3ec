/* A random graph of blocks of all kinds, and which of them a model finds reachable. */
#ifndef TESTS_UNIT_GC_GRAPH_H
#define TESTS_UNIT_GC_GRAPH_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "gc_blocks.h"
#include "../unit_seed.h"

enum { N_NODES = 20000, MAX_EDGES = 6 }; /* edges of every other node lie at multiples of 4, packed */
struct node {
    void *block;
    uint32_t n_edges, edges[MAX_EDGES];
    bool is_noscan, is_reached;
};
static struct node nodes[N_NODES];

static inline size_t node_size(uint64_t *seed)
{
    static const size_t sizes[] = {48, 64, 80, 96, 128, 200, 1000, 4096, 8000, 30000};
    return unit_below(seed, 300) == 0 ? 40000 + unit_below(seed, 400000)
                                      : sizes[unit_below(seed, unit_below(seed, 20) == 0 ? 10 : 6)];
}

static inline void graph_make(uint64_t *seed)
{
    for (size_t i = 0; i < N_NODES; i++) {
        nodes[i].is_noscan = unit_below(seed, 10) == 0;
        nodes[i].is_reached = false;
        nodes[i].block = gc_block(nodes[i].is_noscan ? FLAVOR_GC_NOSCAN : FLAVOR_MALLOC, node_size(seed));
    }
    for (size_t i = 0; i < N_NODES; i++) {
        nodes[i].n_edges = (uint32_t)unit_below(seed, MAX_EDGES);
        for (uint32_t e = 0; e < nodes[i].n_edges; e++) {
            nodes[i].edges[e] = (uint32_t)unit_below(seed, N_NODES);
            char *to = (char *)nodes[nodes[i].edges[e]].block + unit_below(seed, 48);
            memcpy((char *)nodes[i].block + e * sizeof(to) + (i % 2 == 0 ? 0 : sizeof(uint32_t)), &to, sizeof(to));
        }
    }
}

static inline void graph_reach(uint32_t first)
{
    static uint32_t pending[N_NODES];
    size_t n = 0;
    if (!nodes[first].is_reached)
        pending[n++] = first;
    nodes[first].is_reached = true;
    while (n > 0) {
        const struct node *at = &nodes[pending[--n]];
        for (uint32_t e = 0; e < at->n_edges && !at->is_noscan; e++)
            if (!nodes[at->edges[e]].is_reached) {
                nodes[at->edges[e]].is_reached = true;
                pending[n++] = at->edges[e];
            }
    }
}

#endif
