/* What finalizers keep, for those who only look. */
#ifndef GC_FINALIZER_LIST_H
#define GC_FINALIZER_LIST_H

#include <stdint.h>

/* Each reference that the tables hold and that keeps a block: why is "pinned", "cleanup argument", "finalizer argument"
 * or "finalizer queue". World stopped. */
void finalizer_list(void (*fn)(const char *why, uintptr_t addr));

#endif
