/* See symtab.h. */
#include "api/symtab.h"

#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include "base/compiler.h"
#include "os/os.h"

/* What a table of names begins with: then a filter of n_filter words, in which each name has two bits, a place to begin at for each of
 * n_buckets, and for each symbol from the first one on its hash, the lowest bit set at the end of a bucket. */
struct symtab_names {
    uint32_t n_buckets, first, n_filter, shift;
    ElfW(Addr) filter[];
};
enum { SYMTAB_WORD_BITS = 8 * sizeof(ElfW(Addr)), SYMTAB_IS_OLD_VERSION = 0x8000 };
#define SYMTAB_MODULE_BYTES_MAX ((uintptr_t)1 << 31)

extern const ElfW(Dyn) symtab_own_list[] __asm__("_DYNAMIC") __attribute__((visibility("hidden"), weak));

bool symtab_is_own(const struct link_map *map)
{
    return map->l_ld == symtab_own_list;
}

uint32_t symtab_hash(const char *name)
{
    uint32_t hash = 5381;

    for (; *name != '\0'; name++)
        hash = hash * 33 + (uint8_t)*name;
    return hash;
}

/* ld.so makes addresses of the offsets, but not everywhere; an offset is less than where the module lies. Under valgrind a program lies
 * lower than its own size, so what is near to what else says nothing. */
static const void *symtab_place(const struct link_map *map, const ElfW(Dyn) *d)
{
    uintptr_t place = d->d_un.d_ptr < map->l_addr ? d->d_un.d_ptr + map->l_addr : d->d_un.d_ptr;

    return place - map->l_addr < SYMTAB_MODULE_BYTES_MAX ? (const void *)place : NULL;
}

struct symtab symtab_of(const struct link_map *map)
{
    struct symtab tab = {.base = map->l_addr};

    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_GNU_HASH)
            tab.names = symtab_place(map, d);
        else if (d->d_tag == DT_SYMTAB)
            tab.symbols = symtab_place(map, d);
        else if (d->d_tag == DT_STRTAB)
            tab.texts = symtab_place(map, d);
        else if (d->d_tag == DT_VERSYM)
            tab.versions = symtab_place(map, d);
    }
    if (tab.symbols == NULL || tab.texts == NULL || (tab.names != NULL && (tab.names->n_filter == 0 || tab.names->n_buckets == 0)))
        tab.names = NULL;
    return tab;
}

bool symtab_may_have(const struct symtab_names *names, uint32_t hash)
{
    ElfW(Addr) word;

    if (names == NULL)
        return true;
    word = names->filter[hash / SYMTAB_WORD_BITS & (names->n_filter - 1)]; /* a power of two */
    return (word >> (hash % SYMTAB_WORD_BITS) & word >> ((hash >> names->shift) % SYMTAB_WORD_BITS) & 1) != 0;
}

static bool symtab_is(const struct symtab *tab, uint32_t i, const char *name)
{
    return strcmp(tab->texts + tab->symbols[i].st_name, name) == 0 &&
           (tab->versions == NULL || (tab->versions[i] & SYMTAB_IS_OLD_VERSION) == 0);
}

/* 0, which is no name's: not there. */
static uint32_t symtab_find(const struct symtab *tab, const char *name, uint32_t hash)
{
    const uint32_t *buckets = (const uint32_t *)(tab->names->filter + tab->names->n_filter);
    const uint32_t *hashes = buckets + tab->names->n_buckets - tab->names->first;
    uint32_t i = buckets[hash % tab->names->n_buckets];

    if (i < tab->names->first)
        return 0;
    for (;; i++) {
        if ((hashes[i] | 1) == (hash | 1) && symtab_is(tab, i, name))
            return i;
        if ((hashes[i] & 1) != 0)
            return 0;
    }
}

static void *symtab_function_at(const struct symtab *tab, uint32_t i)
{
    const ElfW(Sym) *symbol = &tab->symbols[i];

    if (i == 0 || symbol->st_shndx == SHN_UNDEF || symbol->st_value == 0 || (symbol->st_info & 15) != STT_FUNC)
        return NULL;
    return (void *)(tab->base + symbol->st_value);
}

void *symtab_function(const struct symtab *tab, const char *name, uint32_t hash)
{
    return symtab_function_at(tab, tab->names == NULL ? 0 : symtab_find(tab, name, hash));
}

/* ---- all of them ---- */

/* The kernel's (vdso) is none that names are searched in, and has its table in the old form in kernels up to 5.19 for aarch64. */
void symtab_list_all(struct symtab_list *list)
{
    const struct link_map *map = _r_debug.r_map;
    const uintptr_t kernels = os_auxval(AT_SYSINFO_EHDR);

    list->n = 0;
    list->own = SYMTAB_MAX_LIBRARIES;
    for (; map != NULL && list->n < SYMTAB_MAX_LIBRARIES; map = map->l_next) {
        if (kernels != 0 && map->l_addr == kernels)
            continue;
        if (symtab_is_own(map))
            list->own = list->n;
        list->libraries[list->n++] = symtab_of(map);
    }
    list->is_whole = map == NULL;
    if (list->own > list->n)
        list->own = list->n;
}

/* The filter lets pass one name in a few that the library does not have, so the name is looked for. */
void *symtab_only_function(const struct symtab_list *list, const char *name)
{
    const uint32_t hash = symtab_hash(name);
    const struct symtab *owner = NULL;
    uint32_t at = 0;

    for (size_t i = 0; i < list->n; i++) {
        const struct symtab *tab = &list->libraries[i];
        uint32_t found;
        if (i == list->own || !symtab_may_have(tab->names, hash))
            continue;
        found = tab->names == NULL ? 0 : symtab_find(tab, name, hash);
        if (tab->names == NULL || (found != 0 && owner != NULL))
            return NULL;
        if (found != 0) {
            owner = tab;
            at = found;
        }
    }
    return owner == NULL ? NULL : symtab_function_at(owner, at);
}

bool symtab_others_may_have(const struct symtab_list *list, const char *name, bool before)
{
    const uint32_t hash = symtab_hash(name);

    for (size_t i = 0; i < (before ? list->own : list->n); i++)
        if (i != list->own && symtab_may_have(list->libraries[i].names, hash))
            return true;
    return !before && !list->is_whole;
}
