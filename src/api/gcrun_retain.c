/* Shortest ways, dominators and retained sizes in the graph of a snapshot.
 *
 * Dominators by iteration to a fixed point over the nodes in reverse postorder, each step intersecting two paths up the
 * tree found so far (the way of Cooper, Harvey and Kennedy): on graphs of heaps a few rounds do.
 */
#include "api/gcrun_snapshot.h"

#include <stdlib.h>
#include <string.h>

/* ---- shortest ways -------------------------------------------------------------------------------------------- */

/* What lies on a stack or in a register is mostly passing by, or stale: of ways of one length, those from elsewhere tell
 * more. */
static bool ways_is_passing(const struct snap *s, uint32_t group)
{
    const char *name = s->strings[s->name[group]];

    return strncmp(name, "stack of ", 9) == 0 || strncmp(name, "registers of ", 13) == 0;
}

static uint32_t ways_put_groups(const struct snap *s, const struct snap_ways *ways, uint32_t *queue, bool is_passing)
{
    uint32_t n = 0;

    for (uint32_t e = 0; e < s->n_groups; e++) {
        uint32_t to = s->to[e];
        if (to == 0 || ways_is_passing(s, to) != is_passing)
            continue;
        ways->from[to] = 0;
        ways->edge[to] = e;
        queue[n++] = to;
    }
    return n;
}

struct snap_ways snap_shortest_ways(const struct snap *s)
{
    struct snap_ways ways = {snap_array(s->n_nodes, sizeof(uint32_t)), snap_array(s->n_nodes, sizeof(uint32_t))};
    uint32_t *queue = snap_array(s->n_nodes, sizeof(*queue)), head = 0, tail = 0;

    memset(ways.from, 0xff, s->n_nodes * sizeof(*ways.from));
    tail = ways_put_groups(s, &ways, queue, false);
    tail += ways_put_groups(s, &ways, queue + tail, true);
    while (head < tail) {
        uint32_t node = queue[head++];
        for (uint32_t e = s->first_edge[node]; e < s->first_edge[node + 1]; e++) {
            uint32_t to = s->to[e];
            if (to == 0 || ways.from[to] != SNAP_NONE)
                continue;
            ways.from[to] = node;
            ways.edge[to] = e;
            queue[tail++] = to;
        }
    }
    free(queue);
    return ways;
}

/* ---- order ---------------------------------------------------------------------------------------------------- */

/* What a depth-first walk needs for each node on its way, and what it finds. */
struct order {
    uint32_t *stack, *next_edge;
    uint32_t *nodes; /* in postorder; the root is the last */
    uint32_t *rank;  /* place in nodes; SNAP_NONE: not reached */
    uint32_t n;
};

static bool order_descend(const struct snap *s, struct order *o, uint32_t node, bool *is_entered, uint32_t *depth)
{
    while (o->next_edge[node] < s->first_edge[node + 1]) {
        uint32_t to = s->to[o->next_edge[node]++];
        if (is_entered[to])
            continue;
        is_entered[to] = true;
        o->stack[(*depth)++] = to;
        return true;
    }
    return false;
}

static struct order order_find(const struct snap *s)
{
    struct order o = {snap_array(s->n_nodes, 4), snap_array(s->n_nodes, 4), snap_array(s->n_nodes, 4),
                      snap_array(s->n_nodes, 4), 0};
    bool *is_entered = snap_array(s->n_nodes, sizeof(*is_entered));
    uint32_t depth = 1;

    memcpy(o.next_edge, s->first_edge, s->n_nodes * sizeof(*o.next_edge));
    memset(o.rank, 0xff, s->n_nodes * sizeof(*o.rank));
    is_entered[0] = true;
    while (depth != 0) {
        uint32_t node = o.stack[depth - 1];
        if (order_descend(s, &o, node, is_entered, &depth))
            continue;
        o.rank[node] = o.n;
        o.nodes[o.n++] = node;
        depth--;
    }
    free(is_entered);
    return o;
}

static void order_free(struct order *o)
{
    free(o->stack);
    free(o->next_edge);
    free(o->nodes);
    free(o->rank);
}

/* ---- dominators ----------------------------------------------------------------------------------------------- */

/* Edges the other way round. */
struct reverse {
    uint32_t *first, *from;
};

static struct reverse reverse_make(const struct snap *s)
{
    struct reverse r = {snap_array((size_t)s->n_nodes + 2, sizeof(uint32_t)), snap_array(s->n_edges, sizeof(uint32_t))};

    for (uint32_t e = 0; e < s->n_edges; e++)
        r.first[s->to[e] + 2]++;
    for (uint32_t i = 2; i < s->n_nodes + 2; i++)
        r.first[i] += r.first[i - 1];
    for (uint32_t node = 0; node < s->n_nodes; node++)
        for (uint32_t e = s->first_edge[node]; e < s->first_edge[node + 1]; e++)
            r.from[r.first[s->to[e] + 1]++] = node;
    return r;
}

static uint32_t dominators_meet(const struct order *o, const uint32_t *dom, uint32_t a, uint32_t b)
{
    while (a != b) {
        while (o->rank[a] < o->rank[b])
            a = dom[a];
        while (o->rank[b] < o->rank[a])
            b = dom[b];
    }
    return a;
}

static uint32_t dominators_of(const struct order *o, const struct reverse *r, const uint32_t *dom, uint32_t node)
{
    uint32_t best = SNAP_NONE;

    for (uint32_t e = r->first[node]; e < r->first[node + 1]; e++) {
        uint32_t from = r->from[e];
        if (o->rank[from] == SNAP_NONE || dom[from] == SNAP_NONE)
            continue;
        best = best == SNAP_NONE ? from : dominators_meet(o, dom, from, best);
    }
    return best;
}

static bool dominators_round(const struct order *o, const struct reverse *r, uint32_t *dom)
{
    bool did_change = false;

    for (uint32_t i = o->n - 1; i-- > 0;) {
        uint32_t node = o->nodes[i], best = dominators_of(o, r, dom, node);
        did_change |= dom[node] != best;
        dom[node] = best;
    }
    return did_change;
}

uint32_t *snap_dominators(const struct snap *s)
{
    uint32_t *dom = snap_array(s->n_nodes, sizeof(*dom));
    struct order o = order_find(s);
    struct reverse r = reverse_make(s);

    memset(dom, 0xff, s->n_nodes * sizeof(*dom));
    dom[0] = 0;
    while (dominators_round(&o, &r, dom))
        ;
    for (uint32_t i = 0; i < s->n_nodes; i++)
        dom[i] = dom[i] == SNAP_NONE ? 0 : dom[i];
    order_free(&o);
    free(r.first);
    free(r.from);
    return dom;
}

/* ---- retained ------------------------------------------------------------------------------------------------- */

/* From the leaves of the dominator tree up: a node is done when all that it dominates are. */
uint64_t *snap_retained(const struct snap *s, const uint32_t *dominators, const uint64_t *size)
{
    uint64_t *retained = snap_array(s->n_nodes, sizeof(*retained));
    uint32_t *n_open = snap_array(s->n_nodes, sizeof(*n_open)), *ready = snap_array(s->n_nodes, sizeof(*ready)), n = 0;

    for (uint32_t i = 1; i < s->n_nodes; i++)
        n_open[dominators[i]]++;
    for (uint32_t i = 0; i < s->n_nodes; i++) {
        retained[i] = size != NULL ? size[i] : snap_is_block(s, i);
        if (n_open[i] == 0)
            ready[n++] = i;
    }
    while (n != 0) {
        uint32_t node = ready[--n];
        if (node == 0)
            continue;
        retained[dominators[node]] += retained[node];
        if (--n_open[dominators[node]] == 0)
            ready[n++] = dominators[node];
    }
    free(n_open);
    free(ready);
    return retained;
}
