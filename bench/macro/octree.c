/* A particle simulation's memory: in every time step an octree over all bodies is built node by node, walked,
 * and freed as a whole. Nodes of 96 bytes; the tree is built in random order and freed in depth-first order.
 */
#include "bench.h"

enum { N_BODIES = 4000, STEPS_PER_SCALE = 60, COORDINATE_BITS = 16 };

struct body {
    uint16_t at[3];
    uint32_t mass;
};

struct cell {
    struct cell *children[8];
    const struct body *body; /* of a leaf */
    uint64_t mass;           /* of all below */
    uint64_t n_bodies;
};

static unsigned octant(const struct body *body, unsigned bit)
{
    return (body->at[0] >> bit & 1u) | (body->at[1] >> bit & 1u) << 1 | (body->at[2] >> bit & 1u) << 2;
}

static struct cell *cell_new(const struct body *body)
{
    struct cell *cell = bench_checked(calloc(1, sizeof *cell));
    *cell = (struct cell){.body = body, .mass = body->mass, .n_bodies = 1};
    return cell;
}

static void cell_insert(struct cell **link, const struct body *body, unsigned bit)
{
    struct cell *cell = *link;
    if (cell == NULL) {
        *link = cell_new(body);
        return;
    }
    cell->mass += body->mass;
    cell->n_bodies++;
    if (bit == 0)
        return;
    if (cell->body != NULL) {
        const struct body *old = cell->body;
        cell->body = NULL;
        cell->children[octant(old, bit - 1)] = cell_new(old);
    }
    cell_insert(&cell->children[octant(body, bit - 1)], body, bit - 1);
}

static uint64_t cell_sum(const struct cell *cell, uint64_t depth)
{
    if (cell == NULL)
        return 0;
    uint64_t sum = cell->mass * depth + cell->n_bodies;
    for (unsigned i = 0; i < 8; i++)
        sum += cell_sum(cell->children[i], depth + 1);
    return sum;
}

static void cell_free(struct cell *cell)
{
    if (cell == NULL)
        return;
    for (unsigned i = 0; i < 8; i++)
        cell_free(cell->children[i]);
    free(cell);
}

static void body_move(struct body *body, struct bench_rng *rng)
{
    uint64_t by = bench_rng_next(rng);
    for (unsigned axis = 0; axis < 3; axis++, by >>= 16)
        body->at[axis] = (uint16_t)(body->at[axis] + (by & 255));
}

int main(int argc, char **argv)
{
    static struct body bodies[N_BODIES];
    struct bench_rng rng = bench_rng_seed(12);
    uint64_t sum = 0;
    for (unsigned i = 0; i < N_BODIES; i++) {
        uint64_t place = bench_rng_next(&rng);
        bodies[i] = (struct body){{(uint16_t)place, (uint16_t)(place >> 16), (uint16_t)(place >> 32)}, i};
    }
    for (unsigned step = STEPS_PER_SCALE * bench_scale(argc, argv); step > 0; step--) {
        struct cell *root = NULL;
        for (unsigned i = 0; i < N_BODIES; i++) {
            body_move(&bodies[i], &rng);
            cell_insert(&root, &bodies[i], COORDINATE_BITS);
        }
        sum = sum * 3 + cell_sum(root, 1);
        cell_free(root);
    }
    bench_print_checksum(sum);
    return 0;
}
