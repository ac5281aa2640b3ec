/* A library that puts words of its own before each block that it gets from whoever defines malloc next, as glibc's libmemusage does. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_BYTES = 16 };
#define HEADER_MAGIC UINT64_C(0x6865616465726564)

static uint64_t *header_of(void *p)
{
    return (uint64_t *)((char *)p - HEADER_BYTES);
}

void *malloc(size_t size_bytes)
{
    void *(*next)(size_t) = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    uint64_t *header = next(size_bytes + HEADER_BYTES);

    if (header == NULL)
        return NULL;
    header[0] = size_bytes;
    header[1] = HEADER_MAGIC;
    return (char *)header + HEADER_BYTES;
}

void *calloc(size_t n, size_t size_bytes)
{
    void *p = malloc(n * size_bytes);

    return p == NULL ? NULL : memset(p, 0, n * size_bytes);
}

void free(void *p)
{
    void (*next)(void *) = (void (*)(void *))dlsym(RTLD_NEXT, "free");

    if (p == NULL)
        return;
    if (header_of(p)[1] != HEADER_MAGIC)
        abort();
    header_of(p)[1] = 0;
    next(header_of(p));
}

void *realloc(void *p, size_t size_bytes)
{
    void *q = malloc(size_bytes);

    if (p != NULL && q != NULL) {
        memcpy(q, p, size_bytes < header_of(p)[0] ? size_bytes : header_of(p)[0]);
        free(p);
    }
    return q;
}
