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
static void *neighbours_lookup(const struct symtab_list *libraries, void *where, const char *name)
{
    return symtab_others_may_have(libraries, name, false) ? dlsym(where, name) : NULL;
}

/* ---- who is there ------------------------------------------------------------------------------------------------- */

/* Another copy of this library, preloaded to a program that has the static one, is none: finalizers and links are set here. */
static bool neighbours_is_our_copy(const struct symtab_list *libraries)
{
    return neighbours.gc_malloc != NULL && neighbours_lookup(libraries, RTLD_NEXT, "gc_collect_level") != NULL;
}

void neighbours_find(const struct symtab_list *libraries)
{
    *(void **)&neighbours.gc_malloc = neighbours_lookup(libraries, RTLD_NEXT, "gc_malloc");
    *(void **)&neighbours.gc_collect = neighbours_lookup(libraries, RTLD_NEXT, "gc_collect");
    if (neighbours_is_our_copy(libraries)) {
        neighbours.gc_malloc = NULL;
        neighbours.gc_collect = NULL;
    }
    for (size_t i = 0; i < N_ELEMENTS(neighbour_runtimes); i++)
        if (neighbours_lookup(libraries, _r_debug.r_map, neighbour_runtimes[i].symbol) != NULL)
            neighbours.hides_pointers = neighbour_runtimes[i].name;
    neighbours.has_python = neighbours_lookup(libraries, _r_debug.r_map, "PyLong_AsVoidPtr") != NULL;
    neighbours.has_luajit = neighbours_lookup(libraries, _r_debug.r_map, "luaJIT_setmode") != NULL;
    neighbours.are_found = true;
    dlerror(); /* what was not found is nothing that the program should be told of */
}

void neighbours_find_now(void)
{
    struct symtab_list libraries;

    symtab_list_all(&libraries);
    neighbours_find(&libraries);
}
