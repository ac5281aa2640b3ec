/* The process has another malloc: the program defines its own, or a sanitizer brought one. Then ours, which
 * some library may still be bound to, hands on to the definition after ours, as if we were not there.
 *
 * Invariants  a block is told by its address: free and realloc of a block of ours stay with us, and those of another
 *         go to libc as foreign blocks do anyway (free_slow.c, realloc.c).
 *         What libc's other functions reach by the names realloc and free, they reach there where the program has them:
 *         reallocarray grows the program's blocks.
 * Not here  finding out: init.c.
 */
#include "api/alloc.h"

#include <malloc.h>
#include <stdlib.h>
#include "api/real.h"

static struct {
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
} passthrough_program; /* or NULL */

void passthrough_find(const struct symtab_list *libraries)
{
    *(void **)&passthrough_program.realloc = real_replacement(libraries, "realloc", (void *)realloc);
    *(void **)&passthrough_program.free = real_replacement(libraries, "free", (void *)free);
}

void *passthrough_realloc(void *p, size_t size_bytes)
{
    return passthrough_program.realloc != NULL ? passthrough_program.realloc(p, size_bytes) : realloc(p, size_bytes);
}

void passthrough_free(void *p)
{
    if (passthrough_program.free != NULL)
        passthrough_program.free(p);
    else
        free(p);
}

void *passthrough_malloc(size_t size_bytes)
{
    void *(*real_malloc)(size_t) = REAL_KNOWN(malloc);

    return real_malloc != NULL ? real_malloc(size_bytes)
                               : alloc_block(size_bytes, SIZECLASS_ALIGN, FLAVOR_MALLOC, NULL);
}

passthrough_calloc_fn passthrough_calloc(void)
{
    return REAL_KNOWN(calloc);
}

void *passthrough_memalign(size_t align, size_t size_bytes)
{
    void *(*real_memalign)(size_t, size_t) = REAL_KNOWN(memalign);

    return real_memalign != NULL ? real_memalign(align, size_bytes)
                                 : alloc_block(size_bytes, align, FLAVOR_MALLOC, NULL);
}
