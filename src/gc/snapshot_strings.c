/* The strings of a snapshot, numbered in the order in which file_strings writes them: the root of all, groups, kinds of blocks,
 * calls, words that are roots. */
#include "gc/snapshot_file.h"

#include "heap/heap.h"

enum {
    STRINGS_PER_CALL = 3,
    STRINGS_TEXT_MAX = 4096 + 64,
    STRINGS_FLAVORS = 2 * FLAVOR_N, /* once more for blocks that are freed and held */
};

uint32_t string_of_group(size_t group)
{
    return 1 + (uint32_t)group;
}

uint32_t string_of_block(const struct span *s, uint32_t idx)
{
    uint32_t class_no = span_is_large(s) ? SIZECLASS_N : s->class_no;
    uint32_t flavor = s->flavor + (span_is_held(s, idx) ? FLAVOR_N : 0);

    return 1 + (uint32_t)snapshot.n_groups + flavor * (SIZECLASS_N + 1) + class_no;
}

/* Sites that differ in the outer calls have one name: the tools take equal names for one kind only where they are one string. */
uint32_t string_of_site(const struct site *site)
{
    return site->n_pcs != 0 ? string_of_call(snapshot_call_rank(site->pcs[0])) + STRINGS_PER_CALL - 1
                            : string_of_call(snapshot.n_calls);
}

uint32_t string_of_call(size_t rank)
{
    return 1 + (uint32_t)snapshot.n_groups + STRINGS_FLAVORS * (SIZECLASS_N + 1) + STRINGS_PER_CALL * (uint32_t)rank;
}

uint32_t string_of_root(size_t rank)
{
    return string_of_call(snapshot.n_calls) + 1 + (uint32_t)rank;
}

/* ---- the texts ---- */

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

    for (unsigned flavor = 0; flavor < STRINGS_FLAVORS; flavor++)
        for (unsigned class_no = 0; class_no <= SIZECLASS_N; class_no++) {
            struct fmt f = fmt_init(text, sizeof(text));
            fmt_str(&f, flavor < FLAVOR_N ? "" : "(freed) ");
            fmt_str(&f, flavors[flavor % FLAVOR_N]);
            if (class_no < SIZECLASS_N)
                fmt_u64(&f, sizeclass_size(class_no));
            else
                fmt_str(&f, "large");
            file_string(fmt_cstr(&f));
        }
}

static void put_offset(struct fmt *f, const char *name, uintptr_t offset)
{
    fmt_str(f, name);
    fmt_char(f, '+');
    fmt_hex(f, offset);
}

static void put_symbol(struct fmt *f, const struct snapshot_place *place)
{
    if (place->symbol[0] == '\0')
        return;
    fmt_str(f, " (");
    if (place->in_symbol != 0)
        put_offset(f, place->symbol, place->in_symbol);
    else
        fmt_str(f, place->symbol);
    fmt_char(f, ')');
}

static void file_root_string(const struct snapshot_root *r)
{
    const struct snapshot_group *g = &snapshot.groups[r->group];
    char text[STRINGS_TEXT_MAX];
    struct fmt f = fmt_init(text, sizeof(text));

    if (g->is_module) {
        struct snapshot_place place = snapshot_place_of(r->at);
        put_offset(&f, g->name, place.offset);
        put_symbol(&f, &place);
    } else if (r->at >= g->base && r->at != 0) {
        put_offset(&f, g->name, r->at - g->base);
    } else {
        fmt_str(&f, g->name);
    }
    if (r->at != 0 && r->at < g->base) {
        fmt_char(&f, '-');
        fmt_hex(&f, g->base - r->at);
    }
    file_string(fmt_cstr(&f));
}

/* Of the function that calls, of the place for addr2line, and of the blocks that it allocates. pc: a return address. */
static void file_call_strings(uintptr_t pc)
{
    struct snapshot_place place = snapshot_place_of(pc - 1);
    bool is_named = place.symbol[0] != '\0';
    char text[STRINGS_TEXT_MAX];
    struct fmt f = fmt_init(text, sizeof(text));

    put_offset(&f, place.module, place.offset);
    file_string(is_named ? place.symbol : fmt_cstr(&f));
    f = fmt_init(text, sizeof(text));
    put_offset(&f, place.path != NULL ? place.path : place.module, place.offset);
    file_string(fmt_cstr(&f));
    f = fmt_init(text, sizeof(text));
    fmt_str(&f, place.symbol);
    fmt_str(&f, is_named ? " " : "");
    put_offset(&f, place.module, place.offset);
    file_string(fmt_cstr(&f));
}

void file_each_root(size_t group, size_t *rank, void (*fn)(const struct snapshot_root *r, size_t rank))
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

void file_strings(void)
{
    size_t rank = 0;

    file_begin_array("],\n\"strings\":[");
    file_string("(roots)");
    for (size_t i = 0; i < snapshot.n_groups; i++)
        file_string(snapshot.groups[i].name);
    file_class_strings();
    for (size_t i = 0; i < snapshot.n_calls; i++)
        file_call_strings(snapshot.calls[i]);
    file_string("unknown call");
    for (size_t i = 0; i < snapshot.n_groups; i++)
        file_each_root(i, &rank, file_put_root_string);
    file_text("]}\n");
}
