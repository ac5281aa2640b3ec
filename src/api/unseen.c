/* Telling that the program uses a block which the collector could not see; see heap/probation.h. */
#include "api/alloc.h"
#include "gc/trace.h"
#include "heap/probation.h"
#include "os/critical_inl.h"

COLD struct unseen_site unseen_find(void *p)
{
    struct unseen_site site = {0, FLAVOR_MALLOC};
    struct heap_obj obj;

    os_critical_enter();
    if (heap_find_object((uintptr_t)p, &obj) != HEAP_NOT_A_BLOCK)
        site = (struct unseen_site){obj.size_bytes, obj.span->flavor};
    else if (probation_read_tomb((uintptr_t)p, &obj, &site.flavor))
        site.size_bytes = obj.size_bytes;
    os_critical_leave();
    return site;
}

COLD void unseen_tell(const char *what, void *p, struct unseen_site site, const void *caller)
{
    trace_unseen_use(what, (uintptr_t)p, site.size_bytes, site.flavor, caller);
}
