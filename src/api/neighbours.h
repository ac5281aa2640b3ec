/* What else is in the process that we have to step back for, told by the names that it exports.
 *
 * What    the run-time library of D has gc_malloc and gc_collect of its own. Preloaded, ours stand before them: calls
 *         are handed on to its, which are never ours to answer.
 *         Some runtimes hold blocks of malloc only by words that are no addresses of them: SWI-Prolog has
 *         arrays that begin before their blocks, Chez Scheme (Racket) has addresses as numbers, shifted by three
 *         bits, MoarVM (Rakudo) stores them at any even address. There blocks of malloc count as reachable in mode auto.
 * Not here  what is loaded later: SWI-Prolog's library is known by its name among the mappings (gc/roots_maps.c).
 */
#ifndef API_NEIGHBOURS_H
#define API_NEIGHBOURS_H

#include <stdbool.h>
#include <stddef.h>

struct neighbours {
    void *(*gc_malloc)(size_t size_bytes, unsigned flags, const void *type); /* NULL: there is only ours */
    void (*gc_collect)(void);
    const char *hides_pointers; /* the runtime's name, or NULL */
    bool has_python, has_luajit; /* linked to it, or it is the program: a library that is loaded later is known by its name */
    bool are_found;
};
extern struct neighbours neighbours;
struct symtab_list;
void neighbours_find(const struct symtab_list *libraries); /* constructor */
void neighbours_find_now(void);
/* Where malloc is the program's own, at the first call that may be for a neighbour, and not before: of what is not found libc
 * allocates a message, and that malloc may not be ready before main. */
static inline void neighbours_find_late(void)
{
    if (!neighbours.are_found)
        neighbours_find_now();
}

#endif
