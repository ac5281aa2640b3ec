/* See neighbours.h. */
#include "api/neighbours.h"

#include <dlfcn.h>
#include <link.h>
#include "api/symtab.h"
#include "base/bits.h"
#include "base/compiler.h"

struct neighbours neighbours;

/* Each by a function that every program of it calls. */
static const struct neighbour_runtime {
    const char *symbol, *name;
} neighbour_runtimes[] = {
    {"PL_initialise", "SWI-Prolog"},
    {"Sscheme_init", "Chez Scheme"},
    {"MVM_vm_create_instance", "MoarVM"},
};

/* ---- asking without a miss ---------------------------------------------------------------------------------------- */

/* A name that is not found costs a message in a block, and a walk through all libraries: nearly every program's start. */
static void *neighbours_lookup(void *where, const char *name)
{
    const uint32_t hash = symtab_hash(name);

    for (const struct link_map *map = _r_debug.r_map; map != NULL; map = map->l_next)
        if ((where != RTLD_NEXT || !symtab_is_own(map)) && symtab_may_have(symtab_of(map).names, hash))
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
    neighbours.has_python = neighbours_lookup(_r_debug.r_map, "PyLong_AsVoidPtr") != NULL;
    neighbours.has_luajit = neighbours_lookup(_r_debug.r_map, "luaJIT_setmode") != NULL;
    neighbours.are_found = true;
    dlerror(); /* what was not found is nothing that the program should be told of */
}
