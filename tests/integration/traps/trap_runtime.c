/* Linked to traps: what the run-time library of D exports by names of ours, and that of gvpr by one of libc's that we take; compiled
 * with RUNTIME_HIDES, by which SWI-Prolog's is known. */
#include <stddef.h>
#ifdef RUNTIME_HIDES
int PL_initialise(int argc, char **argv);
int PL_initialise(int argc, char **argv)
{
    return argc != 0 && argv != NULL;
}
#else
struct runtime_call {
    size_t size_bytes;
    unsigned flags;
    const void *type;
} runtime_last;
int runtime_n_collections;
enum { RUNTIME_FLAGS = 0x500000100 }; /* among them CLONE_VM */
void *gc_malloc(size_t size_bytes, unsigned flags, const void *type);
void gc_collect(void);

void *gc_malloc(size_t size_bytes, unsigned flags, const void *type)
{
    runtime_last = (struct runtime_call){size_bytes, flags, type};
    return &runtime_last;
}

void gc_collect(void)
{
    runtime_n_collections++;
}

struct runtime_call *clone(struct runtime_call *call, double factor, int how, long flags);
struct runtime_call *clone(struct runtime_call *call, double factor, int how, long flags)
{
    return flags == RUNTIME_FLAGS && how == 3 && factor == 0.5 ? call + 1 : NULL;
}
#endif
