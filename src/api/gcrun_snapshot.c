/* Reading a snapshot back. Its form is the one that the library writes: the order of fields is checked, not searched. */
#include "api/gcrun_snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "api/gcrun.h"

enum { SNAP_ID_FIRST = 1000, SNAP_ID_UNIT = 16, SNAP_NODE_FIELDS = 7, SNAP_DEPTH_MAX = 256, SNAP_CALL_ROOT = 1 };

struct snap_function {
    uint32_t name, place;
};
struct snap_reader {
    const char *path;
    char *at;
    struct snap_function *functions;
    uint32_t n_functions;
};

static __attribute__((noreturn)) void snap_reject(const struct snap_reader *r, const char *what)
{
    gcrun_fail(STATUS_FAILED, "%s: not a snapshot of the library: %s", r->path, what);
}

void *snap_array(size_t n, size_t size)
{
    void *p = calloc(n != 0 ? n : 1, size);
    if (p == NULL)
        gcrun_fail(STATUS_FAILED, "out of memory");
    return p;
}

static char *snap_read(const char *path)
{
    FILE *f = fopen(path, "re");
    long size;
    char *text;

    if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (size = ftell(f)) < 0)
        gcrun_fail(STATUS_FAILED, "%s: %s", path, strerror(errno));
    rewind(f);
    text = snap_array((size_t)size + 1, 1);
    if (fread(text, 1, (size_t)size, f) != (size_t)size)
        gcrun_fail(STATUS_FAILED, "%s: cannot be read", path);
    fclose(f);
    return text;
}

static void snap_go_to(struct snap_reader *r, const char *key)
{
    char *found = strstr(r->at, key);
    if (found == NULL)
        gcrun_fail(STATUS_FAILED, "%s: not a snapshot of the library: %s is missing", r->path, key);
    r->at = found + strlen(key);
}

static uint64_t snap_number(struct snap_reader *r, int base)
{
    char *end;
    r->at += strspn(r->at, ", \n");
    uint64_t value = strtoull(r->at, &end, base);
    if (end == r->at)
        snap_reject(r, "a number is missing");
    r->at = end;
    return value;
}

static uint32_t snap_count(struct snap_reader *r, const char *key)
{
    snap_go_to(r, key);
    uint64_t value = snap_number(r, 10);
    if (value >= UINT32_MAX / SNAP_NODE_FIELDS)
        snap_reject(r, "too large");
    return (uint32_t)value;
}

static void snap_read_head(struct snap_reader *r, struct snap *s)
{
    snap_go_to(r, "\"node_fields\":[\"type\",\"name\",\"id\",\"self_size\",\"edge_count\",\"trace_node_id\",\"detachedness\"]");
    snap_go_to(r, "\"edge_fields\":[\"type\",\"name_or_index\",\"to_node\"]");
    snap_go_to(r, "\"gcmalloc\":{\"pid\":");
    s->pid = snap_number(r, 10);
    snap_go_to(r, "\"base\":\"");
    s->base = snap_number(r, 16);
    s->n_nodes = snap_count(r, "\"node_count\":");
    s->n_edges = snap_count(r, "\"edge_count\":");
    r->n_functions = snap_count(r, "\"trace_function_count\":");
}

static void snap_read_nodes(struct snap_reader *r, struct snap *s)
{
    uint64_t n_edges = 0;

    s->name = snap_array(s->n_nodes, sizeof(*s->name));
    s->id = snap_array(s->n_nodes, sizeof(*s->id));
    s->size = snap_array(s->n_nodes, sizeof(*s->size));
    s->call = snap_array(s->n_nodes, sizeof(*s->call));
    s->first_edge = snap_array((size_t)s->n_nodes + 1, sizeof(*s->first_edge));
    snap_go_to(r, "\"nodes\":[");
    for (uint32_t i = 0; i < s->n_nodes; i++) {
        snap_number(r, 10);
        s->name[i] = (uint32_t)snap_number(r, 10);
        s->id[i] = snap_number(r, 10);
        s->size[i] = snap_number(r, 10);
        n_edges += snap_number(r, 10);
        s->first_edge[i + 1] = (uint32_t)n_edges;
        s->call[i] = (uint32_t)snap_number(r, 10);
        snap_number(r, 10);
    }
    if (n_edges != s->n_edges || s->n_nodes == 0)
        snap_reject(r, "the number of edges is another");
    s->n_groups = s->first_edge[1];
}

static void snap_read_edges(struct snap_reader *r, struct snap *s)
{
    s->to = snap_array(s->n_edges, sizeof(*s->to));
    s->label = snap_array(s->n_edges, sizeof(*s->label));
    snap_go_to(r, "\"edges\":[");
    for (uint32_t i = 0; i < s->n_edges; i++) {
        snap_number(r, 10);
        s->label[i] = (uint32_t)snap_number(r, 10);
        s->to[i] = (uint32_t)(snap_number(r, 10) / SNAP_NODE_FIELDS);
        if (s->to[i] >= s->n_nodes)
            snap_reject(r, "an edge to no node");
    }
}

/* ---- where blocks came from ---- */

static void snap_read_functions(struct snap_reader *r)
{
    r->functions = snap_array(r->n_functions, sizeof(*r->functions));
    snap_go_to(r, "\"trace_function_infos\":[");
    for (uint32_t i = 0; i < r->n_functions; i++) {
        snap_number(r, 10);
        r->functions[i].name = (uint32_t)snap_number(r, 10);
        r->functions[i].place = (uint32_t)snap_number(r, 10);
        for (int j = 0; j < 3; j++)
            snap_number(r, 10);
    }
}

/* A node of the tree up to its children; its number. */
static uint32_t snap_read_call(struct snap_reader *r, struct snap *s, size_t *max, uint32_t caller)
{
    uint64_t id = snap_number(r, 10), function = snap_number(r, 10);

    snap_number(r, 10);
    snap_number(r, 10);
    if (function >= r->n_functions || id > UINT32_MAX / 2)
        snap_reject(r, "a call of no function");
    while (id >= *max) {
        s->calls = realloc(s->calls, 2 * *max * sizeof(*s->calls));
        if (s->calls == NULL)
            gcrun_fail(STATUS_FAILED, "out of memory");
        memset(s->calls + *max, 0, *max * sizeof(*s->calls));
        *max *= 2;
    }
    s->calls[id] = (struct snap_call){caller, r->functions[function].name, r->functions[function].place};
    s->n_calls = id >= s->n_calls ? id + 1 : s->n_calls;
    r->at += strspn(r->at, ", \n");
    if (*r->at++ != '[')
        snap_reject(r, "a call without a list");
    return (uint32_t)id;
}

/* The root is no call. */
static void snap_read_calls(struct snap_reader *r, struct snap *s)
{
    uint32_t open[SNAP_DEPTH_MAX] = {0};
    size_t max = 1024, depth = 1;

    s->calls = snap_array(max, sizeof(*s->calls));
    s->n_calls = 1;
    snap_go_to(r, "\"trace_tree\":[");
    while (depth != 0) {
        r->at += strspn(r->at, ", \n");
        if (*r->at == ']') {
            r->at++;
            depth--;
        } else if (depth == SNAP_DEPTH_MAX) {
            snap_reject(r, "too many calls");
        } else {
            uint32_t id = snap_read_call(r, s, &max, open[depth - 1]);
            open[depth++] = id == SNAP_CALL_ROOT ? 0 : id;
        }
    }
}

static void snap_read_strings(struct snap_reader *r, struct snap *s)
{
    size_t max = 1024;

    s->strings = snap_array(max, sizeof(*s->strings));
    snap_go_to(r, "\"strings\":[");
    while ((r->at += strspn(r->at, ", \n")), *r->at == '"') {
        char *end = strchr(r->at + 1, '"');
        if (end == NULL)
            snap_reject(r, "a string has no end");
        if (s->n_strings == max) {
            max *= 2;
            s->strings = realloc(s->strings, max * sizeof(*s->strings));
            if (s->strings == NULL)
                gcrun_fail(STATUS_FAILED, "out of memory");
        }
        s->strings[s->n_strings++] = r->at + 1;
        *end = 0;
        r->at = end + 1;
    }
}

/* A group's edges name strings, and so does each node. */
static void snap_check_strings(const struct snap_reader *r, const struct snap *s)
{
    for (uint32_t i = 0; i < s->n_nodes; i++)
        if (s->name[i] >= s->n_strings || s->call[i] >= (s->n_calls > 1 ? s->n_calls : SNAP_CALL_ROOT + 1))
            snap_reject(r, "a name is missing");
    for (size_t i = 0; i < s->n_calls; i++)
        if (s->calls[i].name >= s->n_strings || s->calls[i].place >= s->n_strings)
            snap_reject(r, "the name of a call is missing");
    if (s->n_groups >= s->n_nodes)
        snap_reject(r, "too few nodes");
    for (uint32_t e = 0; e < s->first_edge[s->n_groups + 1]; e++)
        if (s->label[e] >= s->n_strings)
            snap_reject(r, "the name of a root is missing");
}

struct snap *snap_load(const char *path)
{
    struct snap *s = snap_array(1, sizeof(*s));
    struct snap_reader r = {.path = path, .at = s->text = snap_read(path)};

    snap_read_head(&r, s);
    snap_read_nodes(&r, s);
    snap_read_edges(&r, s);
    snap_read_functions(&r);
    snap_read_calls(&r, s);
    free(r.functions);
    snap_read_strings(&r, s);
    snap_check_strings(&r, s);
    return s;
}

uint64_t snap_address(const struct snap *s, uint32_t block)
{
    return s->base + (s->id[block] - SNAP_ID_FIRST) * SNAP_ID_UNIT;
}

uint32_t snap_find(const struct snap *s, uint64_t address)
{
    for (uint32_t i = s->n_groups + 1; i < s->n_nodes; i++)
        if (address - snap_address(s, i) < s->size[i])
            return i;
    return SNAP_NONE;
}
