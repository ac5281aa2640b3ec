/* gc_malloc, gc_new and what tells of their blocks: what their files share. */
#ifndef API_GC_MALLOC_H
#define API_GC_MALLOC_H

#include <stddef.h>

/* gc_malloc, all of it. type: what else the caller passed, for a gc_malloc that is not ours (neighbours.h). */
void *alloc_slow_gc(size_t size_bytes, unsigned flags, const void *type);
/* gc_new, all of it. */
struct gc_type;
void *alloc_slow_new_object(const struct gc_type *type);
/* gc_walk.c: what gcmalloc.h calls such blocks. */
unsigned gc_flags_of_flavor(unsigned flavor);

#endif
