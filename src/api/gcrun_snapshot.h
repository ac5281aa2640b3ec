/* A snapshot of the heap as gcrun reads it, and what follows from it. */
#ifndef API_GCRUN_SNAPSHOT_H
#define API_GCRUN_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A call on the way to an allocation. */
struct snap_call {
    uint32_t caller;      /* index of calls; 0: none */
    uint32_t name, place; /* indexes of strings */
};
/* Node 0 is the root of all, the nodes that it refers to are groups of roots, the others are blocks by address. */
struct snap {
    char *text; /* the file; strings lie in it */
    uint32_t n_nodes, n_edges, n_groups;
    uint64_t base, pid;
    uint64_t *id, *size;
    uint32_t *name;       /* index of strings */
    uint32_t *first_edge; /* n_nodes + 1 */
    uint32_t *to, *label; /* of edges: a node; an offset, or from a group the index of a string */
    uint32_t *call;       /* of nodes: that allocated it, an index of calls; 0: not on record */
    struct snap_call *calls;
    size_t n_calls;
    const char **strings;
    size_t n_strings;
};

enum { SNAP_NONE = UINT32_MAX };

/* ---- gcrun_snapshot.c ---- */
struct snap *snap_load(const char *path); /* ends gcrun where it is no snapshot of the library */
static inline bool snap_is_block(const struct snap *s, uint32_t node)
{
    return node > s->n_groups;
}
uint64_t snap_address(const struct snap *s, uint32_t block);
uint32_t snap_find(const struct snap *s, uint64_t address); /* the block that contains it; SNAP_NONE */
void *snap_array(size_t n, size_t size);                    /* zeroed; ends gcrun where there is no memory */

/* ---- gcrun_retain.c ---- */
/* For each node the edge by which a shortest way from the root comes to it, and the node that this edge leaves; SNAP_NONE:
 * none. */
struct snap_ways {
    uint32_t *from, *edge;
};
struct snap_ways snap_shortest_ways(const struct snap *s);
/* For each node its immediate dominator: the last node that each way from the root to it passes. Blocks that no root
 * reaches count as held by the root. */
uint32_t *snap_dominators(const struct snap *s);
/* For each node the bytes (or, where size is NULL, the number) of what would go with it. */
uint64_t *snap_retained(const struct snap *s, const uint32_t *dominators, const uint64_t *size);

#endif
