/* The functions behind the names that we took: libc's own.
 *
 * What    a table of addresses, filled by the constructor with the next definition after ours (RTLD_NEXT).
 *         REAL(name)       the function; a call before the constructor looks it up there and then. For
 *                          wrappers of libc calls only: looking up takes ld.so's lock.
 *         REAL_KNOWN(name) the function or NULL; looks nothing up. For everything that malloc and free can
 * reach. NULL where this libc has no such function.
 */
#ifndef API_REAL_H
#define API_REAL_H

#include <stdbool.h>
#include <stddef.h>
#include "api/interposed.h"
#include "base/compiler.h"

enum real_fn {
#define REAL_ENUMERATOR(name, version) REAL_##name,
    INTERPOSED_REAL(REAL_ENUMERATOR)
#undef REAL_ENUMERATOR
        REAL_N
};

extern void *real_table[REAL_N];
void *real_lookup(enum real_fn fn);
extern bool real_is_foreign[REAL_N]; /* not libc's own: another library that takes the name stands between */
struct symtab_list;
void real_lookup_all(const struct symtab_list *libraries); /* constructor */
/* dl_iterate_phdr and malloc are somebody else's: a sanitizer's that is linked into the program and shows no other name. */
bool real_is_watched(void);
/* The program's definition, or that of a library before ours, where it has one; else NULL: the program gets ours. */
void *real_replacement(const struct symtab_list *libraries, const char *name, void *ours);
/* False: for one of malloc, calloc, realloc and free the process uses another definition than ours. */
bool real_is_malloc_ours(const struct symtab_list *libraries); /* NULL: neither the heap is there, nor maybe who else defines malloc */

ALWAYS_INLINE void *real_get(enum real_fn fn)
{
    void *p = LOAD_ONCE(real_table[fn]);
    return LIKELY(p != NULL) ? p : real_lookup(fn);
}
#define REAL(name) ((__typeof__(&name))real_get(REAL_##name))
#define REAL_KNOWN(name) ((__typeof__(&name))LOAD_ONCE(real_table[REAL_##name]))

#endif
