/* The names that a library defines, by its own table.
 *
 * What    the way ld.so finds a name in one library, without its lock, its messages and its walk through all libraries: dlsym takes
 *         a thousand instructions for a name that it finds, and allocates where it does not.
 * Callers the constructor, which asks for a hundred names; libraries come and go later.
 * Not here  in which order libraries are searched, and versions: what is not plain is dlsym's.
 */
#ifndef API_SYMTAB_H
#define API_SYMTAB_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

struct symtab_names; /* NULL: in another form, so the library may have any name */
struct symtab {
    const struct symtab_names *names;
    const ElfW(Sym) *symbols;
    const ElfW(Half) *versions; /* NULL: none */
    const char *texts;
    uintptr_t base;
};

struct symtab symtab_of(const struct link_map *map);
bool symtab_is_own(const struct link_map *map); /* this library's */
uint32_t symtab_hash(const char *name);
/* False: it does not define the name. */
bool symtab_may_have(const struct symtab_names *names, uint32_t hash);
/* The function that a program without a wish for an older version gets; NULL: none, or nothing as plain as that. */
void *symtab_function(const struct symtab *tab, const char *name, uint32_t hash);

#endif
