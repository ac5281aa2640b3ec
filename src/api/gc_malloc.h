/* gc_malloc and gc_new: what their files share. */
#ifndef API_GC_MALLOC_H
#define API_GC_MALLOC_H

#include <stddef.h>

/* gc_malloc, all of it. */
void *alloc_slow_gc(size_t size_bytes, unsigned flags);

#endif
