/* Which function or variable an address lies in, by name, from the file of its module. Part of the contract of storey os.
 *
 * What    .symtab of the file, or .dynsym where it is stripped, sorted by address; each file is read once, and kept until
 *         os_symbols_close.
 * Rules   as os.h: no locks, no allocation but mappings, async-signal-safe. Each struct has one user at a time. A file that
 *         is not what was loaded (replaced since) gives no names.
 */
#ifndef OS_SYMBOLS_H
#define OS_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>

struct os_symbols { /* {0}: nothing read yet */
    struct os_symbols_file *newest;
};
struct os_symbol {
    const char *name;     /* "" where none covers the address; valid until os_symbols_close */
    uintptr_t offset;     /* from where it begins */
    uintptr_t in_module;  /* the address as the module's own symbols count it: addr2line -e path in_module */
};
/* base: where the file's first page is mapped, readable. false: the file cannot be read, or is another one. */
bool os_symbols_find(struct os_symbols *s, const char *path, uintptr_t base, uintptr_t addr, struct os_symbol *out);
void os_symbols_close(struct os_symbols *s);

#endif
