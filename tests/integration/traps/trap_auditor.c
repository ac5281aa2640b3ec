/* An auditor for the dynamic linker: allocates in its own namespace at each event, and has thread-local data. */
#include <link.h>
#include <stdlib.h>
static __thread char local_bulk[300];
static const char *volatile kept[64];
static unsigned n_events;

static void note(void)
{
    char *p = malloc(100 + n_events * 8 % 1000);
    if (p != NULL)
        p[0] = 1;
    free((void *)kept[n_events % 64]);
    kept[n_events % 64] = p;
    local_bulk[n_events++ % sizeof(local_bulk)] = 1;
}

unsigned la_version(unsigned version)
{
    note();
    return version;
}

unsigned la_objopen(struct link_map *map, Lmid_t id, uintptr_t *cookie)
{
    (void)map, (void)id, (void)cookie;
    note();
    return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}

void la_preinit(uintptr_t *cookie)
{
    (void)cookie;
    note();
}
