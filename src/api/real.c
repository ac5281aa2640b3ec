/* Looking up libc's own functions.
 *
 * Owns    real_table: written by whoever looks a function up, always with the same value.
 * Not here  what is wrapped around them: interpose_*.c, passthrough.c.
 */
#include "api/real.h"

#include <dlfcn.h>
#include <link.h>
#include <malloc.h>
#include <stdlib.h>

void *real_table[REAL_N];

static const struct real_name {
    const char *name, *version;
} real_names[REAL_N] = {
#define REAL_NAME(fn, v) {#fn, v},
    INTERPOSED_REAL(REAL_NAME)
#undef REAL_NAME
};

void *real_lookup(enum real_fn fn)
{
    const struct real_name *n = &real_names[fn];
    void *p = n->version != NULL ? dlvsym(RTLD_NEXT, n->name, n->version) : NULL;

    if (p == NULL)
        p = dlsym(RTLD_NEXT, n->name);
    STORE_ONCE(real_table[fn], p);
    return p;
}

void real_lookup_all(void)
{
    for (int fn = 0; fn < REAL_N; fn++) {
        if (real_table[fn] == NULL)
            real_lookup((enum real_fn)fn);
    }
}

/* Asked as the program would ask: our own default scope begins with ourselves, because we are linked
 * symbolically. glibc's handles are its link maps, and the program's is the first; to look one up allocates
 * nothing. */
static bool real_resolves_to(const char *name, void *ours)
{
    void *found = dlsym(_r_debug.r_map, name);

    return found == NULL || found == ours;
}

bool real_is_malloc_ours(void)
{
    return real_resolves_to("malloc", (void *)malloc) && real_resolves_to("calloc", (void *)calloc) &&
           real_resolves_to("realloc", (void *)realloc) && real_resolves_to("free", (void *)free);
}
