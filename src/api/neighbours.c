/* See neighbours.h. */
#include "api/neighbours.h"

#include <dlfcn.h>
#include <link.h>
#include "base/bits.h"
#include "base/compiler.h"

struct neighbours neighbours;

/* Each by a function that every program of it calls. */
static const struct neighbour_runtime {
    const char *symbol, *name;
} neighbour_runtimes[] = {
    {"PL_initialise", "SWI-Prolog"},
    {"Sscheme_init", "Chez Scheme"},
};

/* ---- asking without a miss ---------------------------------------------------------------------------------------- */

/* What a library's table of names begins with: then a filter of n_filter words, in which each name has two bits. */
struct neighbours_names {
    uint32_t n_buckets, first, n_filter, shift;
    ElfW(Addr) filter[];
};
enum { NEIGHBOURS_WORD_BITS = 8 * sizeof(ElfW(Addr)) };
#define NEIGHBOURS_MODULE_BYTES_MAX ((uintptr_t)1 << 31)

extern const ElfW(Dyn) neighbours_own_list[] __asm__("_DYNAMIC") __attribute__((visibility("hidden"), weak));

static uint32_t neighbours_hash(const char *name)
{
    uint32_t hash = 5381;

    for (; *name != '\0'; name++)
        hash = hash * 33 + (uint8_t)*name;
    return hash;
}

static uintptr_t neighbours_distance(uintptr_t a, uintptr_t b)
{
    return a < b ? b - a : a - b;
}

/* ld.so makes addresses of the offsets, but not everywhere: what lies nearer to the list that it stands in is the table. */
static const struct neighbours_names *neighbours_names_of(const struct link_map *map)
{
    const ElfW(Dyn) *d = map->l_ld;
    uintptr_t list = (uintptr_t)d, as_is, moved;

    while (d->d_tag != DT_GNU_HASH && d->d_tag != DT_NULL)
        d++;
    if (d->d_tag == DT_NULL)
        return NULL;
    as_is = d->d_un.d_ptr;
    moved = as_is + map->l_addr;
    if (neighbours_distance(list, as_is) > neighbours_distance(list, moved))
        as_is = moved;
    return neighbours_distance(list, as_is) < NEIGHBOURS_MODULE_BYTES_MAX ? (const struct neighbours_names *)as_is : NULL;
}

static bool neighbours_may_have(const struct link_map *map, uint32_t hash)
{
    const struct neighbours_names *names = neighbours_names_of(map);
    ElfW(Addr) word;

    if (names == NULL || names->n_filter == 0)
        return true;
    word = names->filter[hash / NEIGHBOURS_WORD_BITS % names->n_filter];
    return (word >> (hash % NEIGHBOURS_WORD_BITS) & word >> ((hash >> names->shift) % NEIGHBOURS_WORD_BITS) & 1) != 0;
}

/* A name that is not found costs a message in a block, and a walk through all libraries: nearly every program's start. */
static void *neighbours_lookup(void *where, const char *name)
{
    const uint32_t hash = neighbours_hash(name);

    for (const struct link_map *map = _r_debug.r_map; map != NULL; map = map->l_next)
        if ((where != RTLD_NEXT || map->l_ld != neighbours_own_list) && neighbours_may_have(map, hash))
            return dlsym(where, name);
    return NULL;
}

/* ---- who is there ------------------------------------------------------------------------------------------------- */

/* Another copy of this library, preloaded to a program that has the static one, is none: finalizers and links are set here. */
static bool neighbours_is_our_copy(void)
{
    return neighbours.gc_malloc != NULL && neighbours_lookup(RTLD_NEXT, "gc_collect_level") != NULL;
}

void neighbours_find(void)
{
    *(void **)&neighbours.gc_malloc = neighbours_lookup(RTLD_NEXT, "gc_malloc");
    *(void **)&neighbours.gc_collect = neighbours_lookup(RTLD_NEXT, "gc_collect");
    if (neighbours_is_our_copy()) {
        neighbours.gc_malloc = NULL;
        neighbours.gc_collect = NULL;
    }
    for (size_t i = 0; i < N_ELEMENTS(neighbour_runtimes); i++)
        if (neighbours_lookup(_r_debug.r_map, neighbour_runtimes[i].symbol) != NULL)
            neighbours.hides_pointers = neighbour_runtimes[i].name;
    neighbours.are_found = true;
    dlerror(); /* what was not found is nothing that the program should be told of */
}
