/* The names under which libc itself exports its malloc family once more. A program that calls them must not
 * get a block of another allocator than the one its free belongs to.
 */
#include <malloc.h>
#include <stdlib.h>
#include "api/alloc.h"
#include "base/compiler.h"

#define ALIAS(type, name, params)                                                                            \
    EXPORT type name params;                                                                                 \
    EXPORT type name params

ALIAS(void *, __libc_malloc, (size_t size_bytes))
{
    return malloc(size_bytes);
}

ALIAS(void *, __libc_calloc, (size_t n, size_t size_bytes))
{
    return calloc(n, size_bytes);
}

ALIAS(void *, __libc_realloc, (void *p, size_t size_bytes))
{
    return realloc(p, size_bytes);
}

ALIAS(void *, __libc_reallocarray, (void *p, size_t n, size_t size_bytes))
{
    return reallocarray(p, n, size_bytes);
}

ALIAS(void, __libc_free, (void *p))
{
    free(p);
}

ALIAS(void *, __libc_memalign, (size_t align, size_t size_bytes))
{
    return memalign(align, size_bytes);
}

ALIAS(void *, __libc_valloc, (size_t size_bytes))
{
    return valloc(size_bytes);
}

ALIAS(void *, __libc_pvalloc, (size_t size_bytes))
{
    return pvalloc(size_bytes);
}

ALIAS(int, __posix_memalign, (void **out, size_t align, size_t size_bytes))
{
    return posix_memalign(out, align, size_bytes);
}

ALIAS(struct mallinfo, __libc_mallinfo, (void))
{
    return malloc_info_clipped();
}

ALIAS(int, __libc_mallopt, (int param, int value))
{
    return mallopt(param, value);
}
