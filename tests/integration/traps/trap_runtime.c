/* Linked to traps: what the run-time library of D exports by names of ours, and, compiled with RUNTIME_HIDES, by which
 * SWI-Prolog's is known. */
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
#endif
