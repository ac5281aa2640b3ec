/* The file of a snapshot: Chrome's .heapsnapshot, which its DevTools open (Memory, Load).
 *
 *     nodes    0 the root of all; then one for each group of roots; then one for each block, in the order of addresses.
 *              name: what it was asked by and its size; id: 1000 + (address - base) / 16, so that it is the same in two
 *              snapshots of one process and fits 32 bits; self_size: usable bytes.
 *     edges    from the root to each group; from a group to a block, named by the word that refers to it
 *              (library+0xoffset, or +0xoffset from the stack pointer); from block to block, with the offset.
 *     gcmalloc beside meta, for gcrun --analyze: process, base.
 *
 * The counts stand before what they count, where DevTools want them: they are written over blanks at the end.
 */
#include "gc/snapshot_int.h"

#include <string.h>

#include "base/compiler.h"
#include "heap/heap.h"
#include "os/os.h"

enum {
    WRITE_FIELDS_PER_NODE = 7,
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
    struct fmt f;
    int fd;
    uint64_t n_written; /* before what is in f */
    uint64_t n_edges;
    uint64_t edge_count_at; /* where in the file */
    uint64_t n_of_node;     /* edges of the node at hand */
    bool is_failed;
    bool is_first; /* of an array */
} file;

/* ---- output --------------------------------------------------------------------------------------------------- */

static void file_flush(void)
{
    if (!file.is_failed && os_write_all(file.fd, file.f.buf, file.f.len) != 0)
        file.is_failed = true;
    file.n_written += file.f.len;
    file.f.len = 0;
}

static void file_room(void)
{
    if (file.f.cap - file.f.len < 512)
        file_flush();
}

static void file_text(const char *text)
{
    file_room();
    fmt_str(&file.f, text);
}

static void file_number(uint64_t value)
{
    file_room();
    if (!file.is_first)
        fmt_char(&file.f, ',');
    file.is_first = false;
    fmt_u64(&file.f, value);
}

static void file_end_row(void)
{
    fmt_char(&file.f, '\n');
}

/* What JSON cannot hold as it is becomes a question mark. */
static void file_string(const char *text)
{
    file_room();
    fmt_str(&file.f, file.is_first ? "\"" : ",\n\"");
    file.is_first = false;
    for (; *text != '\0'; text++) {
        bool is_plain = *text >= ' ' && *text < 127 && *text != '"' && *text != '\\';
        fmt_char(&file.f, is_plain ? *text : '?');
    }
    fmt_char(&file.f, '"');
}

static void file_begin_array(const char *head)
{
    file_text(head);
    file.is_first = true;
}

/* ---- strings: the order in which file_strings writes them ----------------------------------------------------- */

static uint32_t string_of_group(size_t group)
{
    return 1 + (uint32_t)group;
}

static uint32_t string_of_span(const struct span *s)
{
    uint32_t class_no = span_is_large(s) ? SIZECLASS_N : s->class_no;

    return 1 + (uint32_t)snapshot.n_groups + s->flavor * (SIZECLASS_N + 1) + class_no;
}

static uint32_t string_of_root(size_t rank)
{
    return 1 + (uint32_t)snapshot.n_groups + FLAVOR_N * (SIZECLASS_N + 1) + (uint32_t)rank;
}

static void file_class_strings(void)
{
    static const char *const flavors[FLAVOR_N] = {
        [FLAVOR_MALLOC] = "malloc ",
        [FLAVOR_GC] = "gc_malloc ",
        [FLAVOR_GC_NOSCAN] = "gc_malloc(GC_NOSCAN) ",
        [FLAVOR_ROOT] = "gc_malloc(GC_ROOT) ",
        [FLAVOR_ROOT_NOSCAN] = "gc_malloc(GC_ROOT | GC_NOSCAN) ",
        [FLAVOR_GC_TYPED] = "gc_new ",
        [FLAVOR_GC_TINY] = "gc_malloc(GC_NOSCAN) parts ",
    };
    char text[64];

    for (unsigned flavor = 0; flavor < FLAVOR_N; flavor++)
        for (unsigned class_no = 0; class_no <= SIZECLASS_N; class_no++) {
            struct fmt f = fmt_init(text, sizeof(text));
            fmt_str(&f, flavors[flavor]);
            if (class_no < SIZECLASS_N)
                fmt_u64(&f, sizeclass_size(class_no));
            else
                fmt_str(&f, "large");
            file_string(fmt_cstr(&f));
        }
}

static void file_root_string(const struct snapshot_root *r)
{
    const struct snapshot_group *g = &snapshot.groups[r->group];
    char text[2 * SNAPSHOT_NAME_MAX];
    struct fmt f = fmt_init(text, sizeof(text));

    fmt_str(&f, g->name);
    if (r->at != 0) {
        fmt_char(&f, r->at < g->base ? '-' : '+');
        fmt_hex(&f, r->at < g->base ? g->base - r->at : r->at - g->base);
    }
    file_string(fmt_cstr(&f));
}

/* Roots in the order of their groups; fn gets the rank as well. */
static void file_each_root(size_t group, size_t *rank, void (*fn)(const struct snapshot_root *r, size_t rank))
{
    if (snapshot.groups[group].n_roots == 0)
        return;
    for (size_t i = 0; i < snapshot.n_roots; i++)
        if (snapshot.roots[i].group == group)
            fn(&snapshot.roots[i], (*rank)++);
}

static void file_put_root_string(const struct snapshot_root *r, size_t rank)
{
    (void)rank;
    file_root_string(r);
}

static void file_strings(void)
{
    size_t rank = 0;

    file_begin_array("],\n\"strings\":[");
    file_string("(roots)");
    for (size_t i = 0; i < snapshot.n_groups; i++)
        file_string(snapshot.groups[i].name);
    file_class_strings();
    for (size_t i = 0; i < snapshot.n_groups; i++)
        file_each_root(i, &rank, file_put_root_string);
    file_text("]}\n");
}

/* ---- nodes ---------------------------------------------------------------------------------------------------- */

static void file_node(unsigned type, uint32_t name, uint64_t id, size_t size_bytes, uint64_t n_edges)
{
    file_number(type);
    file_number(name);
    file_number(id);
    file_number(size_bytes);
    file_number(n_edges);
    file_number(0); /* trace_node_id */
    file_number(0); /* detachedness */
    file_end_row();
    file.n_edges += n_edges;
}

static void file_count_edge(size_t offset, uint32_t ordinal, void *ctx)
{
    (void)offset;
    (void)ordinal;
    (void)ctx;
    file.n_of_node++;
}

static void file_block_node(struct span *s, uint32_t idx, void *ctx)
{
    uintptr_t from_base = span_block(s, idx) - heap_map.arena_base;

    (void)ctx;
    file.n_of_node = 0;
    snapshot_edges(s, idx, file_count_edge, NULL);
    file_node(flavor_is_noscan(s->flavor) ? WRITE_NODE_NATIVE : WRITE_NODE_OBJECT, string_of_span(s),
              WRITE_ID_FIRST + from_base / WRITE_ID_UNIT, s->size_bytes, file.n_of_node);
}

/* Ids below WRITE_ID_FIRST are for the root and, as far as they go, for groups; these are new in each snapshot. */
static void file_nodes(void)
{
    file_begin_array("\"nodes\":[");
    file_node(WRITE_NODE_SYNTHETIC, 0, 1, 0, snapshot.n_groups);
    for (size_t i = 0; i < snapshot.n_groups; i++)
        file_node(WRITE_NODE_SYNTHETIC, string_of_group(i), UINT32_MAX - i, 0, snapshot.groups[i].n_roots);
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
    file.edge_count_at = file.n_written + file.f.len;
    for (int i = 0; i < WRITE_COUNT_COLUMNS; i++)
        fmt_char(&file.f, ' ');
    file_text(",\n\"trace_function_count\":0},\n");
}

static void file_put_edge_count(void)
{
    char text[WRITE_COUNT_COLUMNS + 1];
    struct fmt f = fmt_init(text, sizeof(text));

    fmt_u64(&f, file.n_edges);
    if (os_write_at(file.fd, text, f.len, file.edge_count_at) != 0)
        file.is_failed = true;
}

static void file_all(void *unused)
{
    (void)unused;
    file_head();
    file_nodes();
    file_edges();
    file_begin_array("],\n\"trace_function_infos\":[],\"trace_tree\":[],\"samples\":[],\"locations\":[");
    file_strings();
    file_flush();
    file_put_edge_count();
}

/* The outer guard spares that of each block its system calls. */
bool snapshot_write(int fd)
{
    uintptr_t fault_addr;

    file.f = fmt_init(snapshot.out, SNAPSHOT_OUT_BYTES);
    file.fd = fd;
    file.n_written = 0;
    file.n_edges = 0;
    file.is_failed = false;
    return os_fault_guard(file_all, NULL, &fault_addr) && !file.is_failed;
}
