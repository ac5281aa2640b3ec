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

/* Another copy of this library, preloaded to a program that has the static one, is none: finalizers and links are set here. */
static bool neighbours_is_our_copy(void)
{
    return neighbours.gc_malloc != NULL && dlsym(RTLD_NEXT, "gc_collect_level") != NULL;
}

void neighbours_find(void)
{
    *(void **)&neighbours.gc_malloc = dlsym(RTLD_NEXT, "gc_malloc");
    *(void **)&neighbours.gc_collect = dlsym(RTLD_NEXT, "gc_collect");
    if (neighbours_is_our_copy()) {
        neighbours.gc_malloc = NULL;
        neighbours.gc_collect = NULL;
    }
    for (size_t i = 0; i < N_ELEMENTS(neighbour_runtimes); i++)
        if (dlsym(_r_debug.r_map, neighbour_runtimes[i].symbol) != NULL)
            neighbours.hides_pointers = neighbour_runtimes[i].name;
    neighbours.are_found = true;
    dlerror(); /* what was not found is nothing that the program should be told of */
}
