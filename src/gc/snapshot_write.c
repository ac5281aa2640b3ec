/* The file of a snapshot: Chrome's .heapsnapshot, which its DevTools open (Memory, Load).
 *
 *     nodes    0 the root of all; then one for each group of roots; then one for each block, in the order of addresses.
 *              name: the call that allocated it, where that is on record (function module+0xoffset), else what it was asked
 *              by and its size; id: 1000 + (address - base) / 16, so that it is the same in two snapshots of one process
 *              and fits 32 bits; self_size: usable bytes; trace_node_id: the call in trace_tree, 0 not on record.
 *     edges    from the root to each group; from a group to a block, named by the word that refers to it
 *              (library+0xoffset (variable+0xoffset), or +0xoffset from the stack pointer); from block to block, with the
 *              offset.
 *     traces   trace_function_infos: 0 the root of all, then one for each call: function, and as script path+0xoffset for
 *              addr2line. trace_tree: from the root one chain for each site, from the outermost call to the one that
 *              allocated; count and size are those of its blocks in the snapshot. All empty where nothing is on record.
 *     gcmalloc beside meta, for gcrun --analyze: process, base.
 *
 * The counts stand before what they count, where DevTools want them: they are written over blanks at the end.
 */
#include "gc/snapshot_file.h"

#include <string.h>

#include "base/compiler.h"
#include "heap/heap.h"
#include "os/os.h"

enum {
    WRITE_FIELDS_PER_NODE = 7,
    WRITE_TRACE_ROOT = 1, /* id in the tree of traces */
    WRITE_ID_FIRST = 1000,
    WRITE_ID_UNIT = 16,
    WRITE_COUNT_COLUMNS = 20,
    WRITE_NODE_OBJECT = 3, /* places in node_types and edge_types */
    WRITE_NODE_NATIVE = 8,
    WRITE_NODE_SYNTHETIC = 9,
    WRITE_EDGE_ELEMENT = 1,
    WRITE_EDGE_PROPERTY = 2,
};

static struct {
    uint64_t n_edges;
    uint64_t edge_count_at; /* where in the file */
    uint64_t n_of_node;     /* edges of the node at hand */
} writing;

/* ---- nodes ---------------------------------------------------------------------------------------------------- */

struct file_node {
    unsigned type;
    uint32_t name;
    uint64_t id, size_bytes, n_edges, trace;
};

static void file_node(const struct file_node *node)
{
    file_number(node->type);
    file_number(node->name);
    file_number(node->id);
    file_number(node->size_bytes);
    file_number(node->n_edges);
    file_number(node->trace);
    file_number(0); /* detachedness */
    file_end_row();
    writing.n_edges += node->n_edges;
}

static uint64_t trace_of_site(const struct snapshot_site *s)
{
    return s->site->n_pcs != 0 ? s->first_node + s->site->n_pcs - 1 : WRITE_TRACE_ROOT;
}

static void file_count_edge(size_t offset, uint32_t ordinal, void *ctx)
{
    (void)offset;
    (void)ordinal;
    (void)ctx;
    writing.n_of_node++;
}

static void file_block_node(struct span *s, uint32_t idx, void *ctx)
{
    uintptr_t start = span_block(s, idx);
    const struct snapshot_site *site = snapshot_site_of(start);
    struct file_node node = {flavor_is_noscan(s->flavor) ? WRITE_NODE_NATIVE : WRITE_NODE_OBJECT, string_of_block(s, idx),
                             WRITE_ID_FIRST + (start - heap_map.arena_base) / WRITE_ID_UNIT, s->size_bytes, 0, 0};

    (void)ctx;
    writing.n_of_node = 0;
    snapshot_edges(s, idx, file_count_edge, NULL);
    node.n_edges = writing.n_of_node;
    if (site != NULL) {
        node.name = string_of_site(site->site);
        node.trace = trace_of_site(site);
    }
    file_node(&node);
}

/* Ids below WRITE_ID_FIRST are for the root and, as far as they go, for groups; these are new in each snapshot. */
static void file_nodes(void)
{
    struct file_node root = {WRITE_NODE_SYNTHETIC, 0, 1, 0, snapshot.n_groups, 0};

    file_begin_array("\"nodes\":[");
    file_node(&root);
    for (size_t i = 0; i < snapshot.n_groups; i++) {
        struct file_node group = {WRITE_NODE_SYNTHETIC, string_of_group(i), UINT32_MAX - i, 0, snapshot.groups[i].n_roots, 0};
        file_node(&group);
    }
    snapshot_walk(file_block_node, NULL);
}

/* ---- edges ---------------------------------------------------------------------------------------------------- */

static void file_edge(unsigned type, uint64_t name_or_index, uint64_t to_node)
{
    file_number(type);
    file_number(name_or_index);
    file_number(to_node * WRITE_FIELDS_PER_NODE);
    file_end_row();
}

static uint64_t node_of_block(uint32_t ordinal)
{
    return 1 + snapshot.n_groups + ordinal;
}

static void file_root_edge(const struct snapshot_root *r, size_t rank)
{
    file_edge(WRITE_EDGE_PROPERTY, string_of_root(rank), node_of_block(r->ordinal));
}

static void file_block_edge(size_t offset, uint32_t ordinal, void *ctx)
{
    (void)ctx;
    file_edge(WRITE_EDGE_ELEMENT, offset, node_of_block(ordinal));
}

static void file_block_edges(struct span *s, uint32_t idx, void *ctx)
{
    (void)ctx;
    snapshot_edges(s, idx, file_block_edge, NULL);
}

static void file_edges(void)
{
    size_t rank = 0;

    file_begin_array("],\n\"edges\":[");
    for (size_t i = 0; i < snapshot.n_groups; i++)
        file_edge(WRITE_EDGE_PROPERTY, string_of_group(i), 1 + i);
    for (size_t i = 0; i < snapshot.n_groups; i++)
        file_each_root(i, &rank, file_root_edge);
    snapshot_walk(file_block_edges, NULL);
}

/* ---- where blocks came from ----------------------------------------------------------------------------------- */

static size_t trace_n_functions(void)
{
    return snapshot.n_sites != 0 ? 1 + snapshot.n_calls : 0;
}

static void trace_number_sites(void)
{
    uint32_t next = WRITE_TRACE_ROOT + 1;

    for (size_t i = 0; i < snapshot.n_sites; i++) {
        snapshot.sites[i].first_node = next;
        next += snapshot.sites[i].site->n_pcs;
    }
}

static void file_function(size_t id, uint32_t name, uint32_t script)
{
    file_number(id);
    file_number(name);
    file_number(script);
    for (int i = 0; i < 3; i++)
        file_number(0); /* script_id, line, column */
    file_end_row();
}

static void file_functions(void)
{
    file_begin_array("],\n\"trace_function_infos\":[");
    if (trace_n_functions() != 0)
        file_function(0, 0, 0);
    for (size_t i = 0; i < snapshot.n_calls; i++)
        file_function(1 + i, string_of_call(i), string_of_call(i) + 1);
}

/* A node up to its list of children, which stays open. */
static void file_open_trace(uint64_t id, size_t function, uint64_t n_blocks, uint64_t n_bytes)
{
    file_number(id);
    file_number(function);
    file_number(n_blocks);
    file_number(n_bytes);
    file_text(",[");
    file.is_first = true;
}

static void file_close_trace(void)
{
    file_text("]");
    file.is_first = false;
}

static void file_trace_of_site(const struct snapshot_site *s)
{
    uint32_t n = s->site->n_pcs;

    for (uint32_t i = 0; i < n; i++) {
        bool is_last = i == n - 1;
        file_open_trace(s->first_node + i, 1 + snapshot_call_rank(s->site->pcs[n - 1 - i]), is_last ? s->n_blocks : 0,
                        is_last ? s->n_bytes : 0);
    }
    for (uint32_t i = 0; i < n; i++)
        file_close_trace();
    file_end_row();
}

static void file_traces(void)
{
    file_functions();
    file_begin_array("],\n\"trace_tree\":[");
    if (trace_n_functions() == 0)
        return;
    file_open_trace(WRITE_TRACE_ROOT, 0, 0, 0);
    for (size_t i = 0; i < snapshot.n_sites; i++)
        file_trace_of_site(&snapshot.sites[i]);
    file_close_trace();
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

static void file_head(void)
{
    file_text("{\"snapshot\":{\"meta\":{"
              "\"node_fields\":[\"type\",\"name\",\"id\",\"self_size\",\"edge_count\",\"trace_node_id\",\"detachedness\"],"
              "\"node_types\":[[\"hidden\",\"array\",\"string\",\"object\",\"code\",\"closure\",\"regexp\",\"number\","
              "\"native\",\"synthetic\"],\"string\",\"number\",\"number\",\"number\",\"number\",\"number\"],");
    file_text("\"edge_fields\":[\"type\",\"name_or_index\",\"to_node\"],"
              "\"edge_types\":[[\"context\",\"element\",\"property\",\"internal\",\"hidden\",\"shortcut\",\"weak\"],"
              "\"string_or_number\",\"node\"],");
    file_text("\"trace_function_info_fields\":[\"function_id\",\"name\",\"script_name\",\"script_id\",\"line\",\"column\"],"
              "\"trace_node_fields\":[\"id\",\"function_info_index\",\"count\",\"size\",\"children\"],"
              "\"sample_fields\":[\"timestamp_us\",\"last_assigned_id\"],"
              "\"location_fields\":[\"object_index\",\"script_id\",\"line\",\"column\"]},");
    file_text("\n\"gcmalloc\":{\"pid\":");
    fmt_u64(&file.f, (uint64_t)os_clone_parent());
    file_text(",\"base\":\"");
    fmt_hex(&file.f, heap_map.arena_base);
    file_text("\"},\n\"node_count\":");
    fmt_u64(&file.f, node_of_block(snapshot.n_blocks));
    file_text(",\n\"edge_count\":");
    writing.edge_count_at = file_position();
    for (int i = 0; i < WRITE_COUNT_COLUMNS; i++)
        fmt_char(&file.f, ' ');
    file_text(",\n\"trace_function_count\":");
    fmt_u64(&file.f, trace_n_functions());
    file_text("},\n");
}

static void file_put_edge_count(void)
{
    char text[WRITE_COUNT_COLUMNS + 1];
    struct fmt f = fmt_init(text, sizeof(text));

    fmt_u64(&f, writing.n_edges);
    if (os_write_at(file.fd, text, f.len, writing.edge_count_at) != 0)
        file.is_failed = true;
}

static void file_all(void *unused)
{
    (void)unused;
    trace_number_sites();
    file_head();
    file_nodes();
    file_edges();
    file_traces();
    file_text("],\n\"samples\":[],\"locations\":[");
    file_strings();
    file_flush();
    file_put_edge_count();
}

/* The outer guard spares that of each block its system calls. */
bool snapshot_write(int fd)
{
    uintptr_t fault_addr;

    file_begin(fd);
    writing.n_edges = 0;
    return os_fault_guard(file_all, NULL, &fault_addr) && !file.is_failed;
}
