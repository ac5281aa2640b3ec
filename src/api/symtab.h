/* The names that libraries define, by their own tables.
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
#include <stddef.h>
#include <stdint.h>

struct symtab_names; /* NULL: in another form, so the library may have any name */
struct symtab {
    const struct symtab_names *names;
    const ElfW(Sym) *symbols;
    const ElfW(Half) *versions; /* NULL: none */
    const char *texts;
    uintptr_t base;
};

/* The process's libraries, in the order in which names are searched. */
enum { SYMTAB_MAX_LIBRARIES = 128 };
struct symtab_list {
    struct symtab libraries[SYMTAB_MAX_LIBRARIES];
    size_t n;
    size_t own;    /* this library's; n: it is not among these */
    bool is_whole; /* there are no more */
};

struct symtab symtab_of(const struct link_map *map);
void symtab_list_all(struct symtab_list *list);
bool symtab_is_own(const struct link_map *map); /* this library's */
uint32_t symtab_hash(const char *name);
/* False: it does not define the name. */
bool symtab_may_have(const struct symtab_names *names, uint32_t hash);
/* The function that a program without a wish for an older version gets; NULL: none, or nothing as plain as that. */
void *symtab_function(const struct symtab *tab, const char *name, uint32_t hash);
/* The same of the only library beside ours that defines it. NULL: none, several, or not known. */
void *symtab_only_function(const struct symtab_list *list, const char *name);
/* Whether a library before ours may have it, or (not before) any but ours. */
bool symtab_others_may_have(const struct symtab_list *list, const char *name, bool before);

#endif
