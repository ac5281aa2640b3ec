/* Telling that the program uses a block which the collector could not see; see heap/probation.h. */
#include "api/alloc.h"
#include "gc/trace.h"
#include "os/critical_inl.h"

COLD void unseen_tell(const char *what, void *p, const void *caller)
{
    struct heap_obj obj;
    bool is_known;

    os_critical_enter();
    is_known = heap_find_object((uintptr_t)p, &obj) != HEAP_NOT_A_BLOCK;
    if (is_known)
        trace_unseen_use(what, (uintptr_t)p, obj.size_bytes, obj.span->flavor, caller);
    else
        trace_unseen_use(what, (uintptr_t)p, 0, FLAVOR_MALLOC, caller);
    os_critical_leave();
}
