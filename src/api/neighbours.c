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

void neighbours_find(void)
{
    *(void **)&neighbours.gc_malloc = dlsym(RTLD_NEXT, "gc_malloc");
    *(void **)&neighbours.gc_collect = dlsym(RTLD_NEXT, "gc_collect");
    for (size_t i = 0; i < N_ELEMENTS(neighbour_runtimes); i++)
        if (dlsym(_r_debug.r_map, neighbour_runtimes[i].symbol) != NULL)
            neighbours.hides_pointers = neighbour_runtimes[i].name;
    dlerror(); /* what was not found is nothing that the program should be told of */
}
