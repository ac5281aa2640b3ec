/* gcrun --analyze: what a snapshot says, in words.
 *
 *     summary           size, groups of roots, and the blocks that hold most
 *     --why ADDRESS     the shortest chain of references from a root to the block, and where it was allocated
 *     --diff OLDER      which kinds of blocks became more, and what holds those that are new
 */
#include "api/gcrun.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "api/gcrun_snapshot.h"
#include "base/fmt.h"

enum { ANALYZE_TOP = 20, ANALYZE_CHAIN_ENDS = 20 };

/* ---- text ----------------------------------------------------------------------------------------------------- */

static void print_bytes(uint64_t n_bytes)
{
    char text[32];
    struct fmt f = fmt_init(text, sizeof(text));

    fmt_bytes(&f, n_bytes);
    printf("%9s", fmt_cstr(&f));
}

static void print_node(const struct snap *s, uint32_t node)
{
    if (snap_is_block(s, node))
        printf("0x%" PRIx64 " (%s, %" PRIu64 " bytes)", snap_address(s, node), s->strings[s->name[node]], s->size[node]);
    else
        printf("%s", s->strings[s->name[node]]);
}

/* The blocks from the one that a root refers to, down to node; their number, 0 where no root reaches it. */
static uint32_t chain_make(const struct snap *s, const struct snap_ways *ways, uint32_t node, uint32_t **chain)
{
    uint32_t n = 0, at = node;

    while (snap_is_block(s, at) && ways->from[at] != SNAP_NONE) {
        n++;
        at = ways->from[at];
    }
    if (snap_is_block(s, at))
        return 0;
    *chain = snap_array(n, sizeof(**chain));
    at = node;
    for (uint32_t i = n; i-- > 0; at = ways->from[at])
        (*chain)[i] = at;
    return n;
}

static void print_chain(const struct snap *s, const struct snap_ways *ways, uint32_t node)
{
    uint32_t *chain = NULL, n = chain_make(s, ways, node, &chain);

    if (n == 0) {
        puts("  held by nothing that the snapshot shows");
        return;
    }
    printf("  %s\n", s->strings[s->label[ways->edge[chain[0]]]]);
    for (uint32_t i = 0; i < n; i++) {
        if (i == ANALYZE_CHAIN_ENDS && n > 2 * ANALYZE_CHAIN_ENDS) {
            i = n - ANALYZE_CHAIN_ENDS;
            printf("  -> ... %" PRIu32 " more\n", n - 2 * ANALYZE_CHAIN_ENDS);
        }
        printf("  -> ");
        print_node(s, chain[i]);
        if (i + 1 < n)
            printf(" +0x%" PRIx32, s->label[ways->edge[chain[i + 1]]]);
        putchar('\n');
    }
    free(chain);
}

/* As leak reports write it. A name that is its place has no symbol. */
static void print_stack(const struct snap *s, uint32_t node)
{
    uint32_t call = s->call[node];
    unsigned n = 0;

    if (call == 0)
        return;
    puts("  allocated from");
    for (; call != 0 && (s->calls[call].caller != 0 || s->calls[call].name != 0); call = s->calls[call].caller) {
        const char *name = s->strings[s->calls[call].name], *place = s->strings[s->calls[call].place];
        size_t len = strlen(place), len_name = strlen(name);
        bool is_place = len >= len_name && strcmp(place + len - len_name, name) == 0;
        printf("    #%u %s%s(%s)\n", n++, is_place ? "" : name, is_place ? "" : " ", place);
    }
}

/* ---- the largest of many -------------------------------------------------------------------------------------- */

struct top {
    uint32_t nodes[ANALYZE_TOP];
    uint64_t values[ANALYZE_TOP];
    unsigned n;
};

static void top_add(struct top *top, uint32_t node, uint64_t value)
{
    unsigned i = top->n;

    if (value == 0 || (i == ANALYZE_TOP && top->values[i - 1] >= value))
        return;
    i -= i == ANALYZE_TOP;
    top->n = i + 1;
    for (; i > 0 && top->values[i - 1] < value; i--) {
        top->nodes[i] = top->nodes[i - 1];
        top->values[i] = top->values[i - 1];
    }
    top->nodes[i] = node;
    top->values[i] = value;
}

/* ---- summary -------------------------------------------------------------------------------------------------- */

struct analysis {
    const struct snap *s;
    struct snap_ways ways;
    uint32_t *dominators;
    uint64_t *retained, *n_retained;
};

static struct analysis analysis_make(const struct snap *s)
{
    struct analysis a = {.s = s, .ways = snap_shortest_ways(s), .dominators = snap_dominators(s)};

    a.retained = snap_retained(s, a.dominators, s->size);
    a.n_retained = snap_retained(s, a.dominators, NULL);
    return a;
}

static void summary_roots(const struct analysis *a)
{
    struct top top = {.n = 0};

    for (uint32_t i = 1; i <= a->s->n_groups; i++)
        top_add(&top, i, a->retained[i] != 0 ? a->retained[i] : 1);
    puts("\nroots, and what each group alone keeps\n    bytes     blocks  words");
    for (unsigned i = 0; i < top.n; i++) {
        uint32_t node = top.nodes[i];
        print_bytes(a->retained[node]);
        printf(" %10" PRIu64 " %6" PRIu32 "  %s\n", a->n_retained[node],
               a->s->first_edge[node + 1] - a->s->first_edge[node], a->s->strings[a->s->name[node]]);
    }
}

/* Of a list, each block keeps most of what the one before it keeps: such a block tells nothing new. */
static bool summary_goes_on(const struct analysis *a, uint32_t node)
{
    uint32_t by = a->dominators[node];

    return snap_is_block(a->s, by) && 2 * a->retained[node] >= a->retained[by];
}

static void summary_blocks(const struct analysis *a)
{
    struct top top = {.n = 0};

    for (uint32_t i = a->s->n_groups + 1; i < a->s->n_nodes; i++)
        if (!summary_goes_on(a, i))
            top_add(&top, i, a->retained[i]);
    puts("\nblocks that keep most: with each, so much would go\n    bytes     blocks  block, and the root by which it is reached");
    for (unsigned i = 0; i < top.n; i++) {
        uint32_t node = top.nodes[i], at = node;
        print_bytes(top.values[i]);
        printf(" %10" PRIu64 "  ", a->n_retained[node]);
        print_node(a->s, node);
        while (a->ways.from[at] != SNAP_NONE && snap_is_block(a->s, a->ways.from[at]))
            at = a->ways.from[at];
        printf("  %s\n", a->ways.from[at] != SNAP_NONE ? a->s->strings[a->s->label[a->ways.edge[at]]] : "");
    }
}

static void summary_print(const struct snap *s)
{
    struct analysis a = analysis_make(s);

    printf("process %" PRIu64 ": %" PRIu32 " blocks,", s->pid, s->n_nodes - 1 - s->n_groups);
    print_bytes(a.retained[0]);
    printf(", %" PRIu32 " references, %" PRIu32 " of them from roots in %" PRIu32 " places\n", s->n_edges - s->n_groups,
           s->first_edge[s->n_groups + 1] - s->n_groups, s->n_groups);
    summary_roots(&a);
    summary_blocks(&a);
}

/* ---- why ------------------------------------------------------------------------------------------------------ */

static void why_print(const struct snap *s, const char *word)
{
    char *end;
    uint64_t address = strtoull(word, &end, 16);
    uint32_t node;
    struct snap_ways ways;

    if (*word == 0 || *end != 0)
        gcrun_fail(STATUS_FAILED, "%s is no address", word);
    node = snap_find(s, address);
    if (node == SNAP_NONE)
        gcrun_fail(1, "%s lies in no block of the snapshot: it was not reachable", word);
    ways = snap_shortest_ways(s);
    printf("why ");
    print_node(s, node);
    puts(" is alive");
    print_chain(s, &ways, node);
    print_stack(s, node);
}

/* ---- growth --------------------------------------------------------------------------------------------------- */

struct kind {
    const char *name;
    int64_t n_blocks, n_bytes;
};

static struct kind *kinds_find(struct kind *kinds, size_t *n, const char *name)
{
    for (size_t i = 0; i < *n; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    kinds[*n] = (struct kind){.name = name};
    return &kinds[(*n)++];
}

/* Kinds are few, but strings are as many as roots: each string is looked up once. */
static void kinds_add(struct kind *kinds, size_t *n, const struct snap *s, int64_t sign)
{
    struct kind **of_string = snap_array(s->n_strings, sizeof(struct kind *));

    for (uint32_t i = s->n_groups + 1; i < s->n_nodes; i++) {
        struct kind **k = &of_string[s->name[i]];
        if (*k == NULL)
            *k = kinds_find(kinds, n, s->strings[s->name[i]]);
        (*k)->n_blocks += sign;
        (*k)->n_bytes += sign * (int64_t)s->size[i];
    }
    free(of_string);
}

static int kinds_compare(const void *a, const void *b)
{
    int64_t x = ((const struct kind *)a)->n_bytes, y = ((const struct kind *)b)->n_bytes;

    return (x < y) - (x > y);
}

static void diff_kinds(const struct snap *s, const struct snap *old)
{
    struct kind *kinds = snap_array(s->n_strings + old->n_strings, sizeof(*kinds));
    size_t n = 0;

    kinds_add(kinds, &n, s, 1);
    kinds_add(kinds, &n, old, -1);
    qsort(kinds, n, sizeof(*kinds), kinds_compare);
    puts("growth by kind\n        bytes     blocks");
    for (size_t i = 0; i < n; i++)
        if (kinds[i].n_blocks != 0 && (i < ANALYZE_TOP || kinds[i].n_bytes < 0))
            printf(" %+12" PRId64 " %+10" PRId64 "  %s\n", kinds[i].n_bytes, kinds[i].n_blocks, kinds[i].name);
    free(kinds);
}

static bool diff_is_old(const struct snap *old, uint32_t *at, uint64_t id, uint64_t size)
{
    while (*at < old->n_nodes && old->id[*at] < id)
        (*at)++;
    return *at < old->n_nodes && old->id[*at] == id && old->size[*at] == size;
}

/* Blocks are in the order of their addresses in both. A block that went and came back at the same place with the same
 * size counts as old. */
static bool *diff_new_blocks(const struct snap *s, const struct snap *old)
{
    bool *is_new = snap_array(s->n_nodes, sizeof(*is_new));
    uint32_t at = old->n_groups + 1;

    for (uint32_t i = s->n_groups + 1; i < s->n_nodes; i++)
        is_new[i] = !diff_is_old(old, &at, s->id[i], s->size[i]);
    return is_new;
}

static void diff_retainers(const struct snap *s, const struct snap *old)
{
    bool *is_new = diff_new_blocks(s, old);
    uint64_t *size = snap_array(s->n_nodes, sizeof(*size)), *retained;
    uint32_t *dominators = snap_dominators(s);
    struct snap_ways ways = snap_shortest_ways(s);
    struct top top = {.n = 0};

    for (uint32_t i = 0; i < s->n_nodes; i++)
        size[i] = is_new[i] ? s->size[i] : 0;
    retained = snap_retained(s, dominators, size);
    for (uint32_t i = s->n_groups + 1; i < s->n_nodes; i++)
        if (is_new[i] != is_new[dominators[i]] || !snap_is_block(s, dominators[i]))
            top_add(&top, i, retained[i]);
    puts("\nwhat keeps most of the new blocks\n    bytes  shortest chain");
    for (unsigned i = 0; i < top.n && i < ANALYZE_TOP / 2; i++) {
        print_bytes(top.values[i]);
        putchar('\n');
        print_chain(s, &ways, top.nodes[i]);
    }
}

static void diff_print(const struct snap *s, const char *path)
{
    struct snap *old = snap_load(path);

    if (old->pid != s->pid || old->base != s->base)
        gcrun_fail(STATUS_FAILED, "%s: of another process: what is new cannot be told", path);
    diff_kinds(s, old);
    diff_retainers(s, old);
}

/* ---- arguments ------------------------------------------------------------------------------------------------ */

/* --name VALUE or --name=VALUE: the value, and *args behind it; NULL: another option. */
static const char *analyze_value(char ***args, const char *name)
{
    size_t len = strlen(name);
    const char *value;

    if (strncmp((*args)[0], name, len) != 0 || ((*args)[0][len] != '\0' && (*args)[0][len] != '='))
        return NULL;
    value = (*args)[0][len] == '=' ? (*args)[0] + len + 1 : *++*args;
    if (value == NULL)
        gcrun_fail(STATUS_FAILED, "option %s needs a value", name);
    ++*args;
    return value;
}

int analyze_main(char **args)
{
    struct snap *s;
    const char *value;

    if (args[0] == NULL)
        gcrun_fail(STATUS_FAILED, "option --analyze needs a snapshot");
    s = snap_load(args[0]);
    if (args[1] == NULL)
        summary_print(s);
    for (args++; args[0] != NULL;) {
        if ((value = analyze_value(&args, "--why")) != NULL)
            why_print(s, value);
        else if ((value = analyze_value(&args, "--diff")) != NULL)
            diff_print(s, value);
        else
            gcrun_fail(STATUS_FAILED, "--analyze takes --why ADDRESS and --diff OLDER, not %s", args[0]);
    }
    if (fflush(stdout) != 0)
        gcrun_fail(STATUS_FAILED, "cannot write");
    return 0;
}
