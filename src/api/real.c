/* Looking up libc's own functions.
 *
 * Owns    real_table, real_is_foreign: written by whoever looks a function up, always with the same value.
 * Not here  what is wrapped around them: interpose_*.c, passthrough.c.
 */
#include "api/real.h"

#include <dlfcn.h>
#include <link.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include "api/symtab.h"
#include "base/check.h"
#include "heap/heap.h"

void *real_table[REAL_N];

/* The names one after another, and where each begins: pointers to them would be written when the library is loaded. */
static const struct real_texts {
#define REAL_TEXT(fn, v) char name_of_##fn[sizeof(#fn)];
    INTERPOSED_REAL(REAL_TEXT)
#undef REAL_TEXT
} real_texts = {
#define REAL_TEXT(fn, v) #fn,
    INTERPOSED_REAL(REAL_TEXT)
#undef REAL_TEXT
};

static const char *real_name(enum real_fn fn)
{
    static const uint16_t starts[REAL_N] = {
#define REAL_START(name, v) offsetof(struct real_texts, name_of_##name),
        INTERPOSED_REAL(REAL_START)
#undef REAL_START
    };
    return (const char *)&real_texts + starts[fn];
}

/* The version to look up first, or NULL. */
static const char *real_version(enum real_fn fn)
{
    switch (fn) {
#define REAL_VERSION(name, v)                                                                                                     \
    case REAL_##name:                                                                                                             \
        return v;
        INTERPOSED_REAL(REAL_VERSION)
#undef REAL_VERSION
    default:
        return NULL;
    }
}

bool real_is_foreign[REAL_N];

/* ---- whose it is ---- */

enum { REAL_MAX_MODULES = 4 };
static struct {
    uintptr_t lo, hi;
} real_modules[REAL_MAX_MODULES]; /* of libc; filled once, by the process's only thread in all likelihood */
static size_t real_n_modules;

/* Before glibc 2.34 it had several libraries. */
static bool real_is_libcs_name(const char *path)
{
    static const char *const names[] = {"libc.so", "libc-", "libpthread", "librt"};
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;

    for (size_t i = 0; i < N_ELEMENTS(names); i++)
        if (strncmp(name, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/* A library begins with its header. Not by dl_iterate_phdr, which a sanitizer in the program may have taken, and begins after us. */
static void real_note_module(const struct link_map *map)
{
    const ElfW(Ehdr) *header = (const ElfW(Ehdr) *)map->l_addr;
    const ElfW(Phdr) *p = (const ElfW(Phdr) *)(map->l_addr + header->e_phoff);
    uintptr_t end = 0;

    for (int i = 0; i < header->e_phnum; i++)
        if (p[i].p_type == PT_LOAD)
            end = p[i].p_vaddr + p[i].p_memsz;
    real_modules[real_n_modules].lo = map->l_addr;
    real_modules[real_n_modules].hi = map->l_addr + end;
    real_n_modules++;
}

static bool real_is_libcs(uintptr_t fn)
{
    if (real_n_modules == 0)
        for (const struct link_map *map = _r_debug.r_map; map != NULL && real_n_modules < REAL_MAX_MODULES; map = map->l_next)
            if (map->l_addr != 0 && real_is_libcs_name(map->l_name))
                real_note_module(map);
    for (size_t i = 0; i < real_n_modules; i++)
        if (fn >= real_modules[i].lo && fn < real_modules[i].hi)
            return true;
    return real_n_modules == 0;
}

/* A program that was linked to a fixed address and takes malloc's address has it at an entry of its own jump table: an
 * undefined symbol with a value, which dlsym finds first. Debian's python3 is one. */
static bool real_is_jump_entry(void *found)
{
    const ElfW(Sym) *symbol = NULL;
    Dl_info info;

    return dladdr1(found, &info, (void **)&symbol, RTLD_DL_SYMENT) != 0 && symbol != NULL &&
           symbol->st_shndx == SHN_UNDEF;
}

static const struct link_map *real_owner(void *fn)
{
    struct link_map *map = NULL;
    Dl_info info;

    return dladdr1(fn, &info, (void **)&map, RTLD_DL_LINKMAP) != 0 ? map : NULL;
}

/* Others take dl_iterate_phdr alone: fakechroot's library does. Nothing of libc is called but ld.so's own: a sanitizer has the rest. */
bool real_is_watched(void)
{
    void *found = dlsym(_r_debug.r_map, "dl_iterate_phdr");

    return found != NULL && !real_is_libcs((uintptr_t)found) && !real_is_jump_entry(found) &&
           real_owner(found) == real_owner(dlsym(_r_debug.r_map, "malloc"));
}

/* ---- looking up ---- */

void *real_lookup(enum real_fn fn)
{
    const char *version = real_version(fn);
    void *p = version != NULL ? dlvsym(RTLD_NEXT, real_name(fn), version) : NULL;

    if (p == NULL)
        p = dlsym(RTLD_NEXT, real_name(fn));
    real_is_foreign[fn] = p != NULL && !real_is_libcs((uintptr_t)p);
    STORE_ONCE(real_table[fn], p);
    return p;
}

/* ---- all at once ---- */

/* What nobody but libc defines needs no search through the libraries in their order. */
static bool real_lookup_quickly(const struct symtab_list *libraries, enum real_fn fn)
{
    void *p = real_version(fn) != NULL ? NULL : symtab_only_function(libraries, real_name(fn));

    if (p == NULL || !real_is_libcs((uintptr_t)p))
        return false;
    ASSERT(p == dlsym(RTLD_NEXT, real_name(fn)));
    STORE_ONCE(real_table[fn], p);
    return true;
}

/* In another namespace's list (dlmopen) we are not. */
void real_lookup_all(const struct symtab_list *libraries)
{
    bool are_known = libraries->is_whole && libraries->own < libraries->n;

    for (int fn = 0; fn < REAL_N; fn++)
        if (real_table[fn] == NULL && !(are_known && real_lookup_quickly(libraries, (enum real_fn)fn)))
            real_lookup((enum real_fn)fn);
}

/* Before us are the program and what is preloaded earlier. In another namespace nobody is. */
static bool real_may_precede(const struct symtab_list *libraries, const char *name)
{
    if (libraries->own == libraries->n)
        return !libraries->is_whole;
    return symtab_others_may_have(libraries, name, true);
}

void *real_replacement(const struct symtab_list *libraries, const char *name, void *ours)
{
    void *found = real_may_precede(libraries, name) ? dlsym(_r_debug.r_map, name) : NULL;

    return found == NULL || found == ours || real_is_jump_entry(found) ? NULL : found;
}

/* Where the program's jump entry leads is best asked by calling it. Whoever defines malloc defines the others. One who puts words of his
 * own before the blocks that he gets from us (glibc's libmemusage) is not us: what he gave is his to free, and lost. */
static bool real_entry_leads_to_us(void *(*entry)(size_t))
{
    void *p = entry(1);
    struct heap_obj block;
    bool is_ours = heap_find_object((uintptr_t)p, &block) == HEAP_LIVE && block.start == (uintptr_t)p;

    if (is_ours)
        free(p);
    return is_ours;
}

/* Asked as the program would ask: our own default scope begins with ourselves, because we are linked
 * symbolically. glibc's handles are its link maps, and the program's is the first; to look one up allocates
 * nothing. */
static bool real_resolves_to(const char *name, void *ours, bool may_be_entry)
{
    void *found = dlsym(_r_debug.r_map, name);

    return found == NULL || found == ours || (may_be_entry && real_is_jump_entry(found));
}

/* Ours is there for others, which it is not in a program that was linked with our names hidden, and nobody has the name before us. */
static bool real_is_found_first(const struct symtab_list *libraries, const char *name, void *ours)
{
    return libraries->own != libraries->n && !real_may_precede(libraries, name) &&
           symtab_function(&libraries->libraries[libraries->own], name, symtab_hash(name)) == ours;
}

static bool real_is_malloc_found_first(const struct symtab_list *libraries)
{
    return real_is_found_first(libraries, "malloc", (void *)malloc) && real_is_found_first(libraries, "calloc", (void *)calloc) &&
           real_is_found_first(libraries, "realloc", (void *)realloc) && real_is_found_first(libraries, "free", (void *)free);
}

bool real_is_malloc_ours(const struct symtab_list *libraries)
{
    void *(*entry)(size_t);
    bool may_call = libraries != NULL;

    if (libraries != NULL && real_is_malloc_found_first(libraries))
        return true;
    entry = (void *(*)(size_t))dlsym(_r_debug.r_map, "malloc");
    if (may_call && entry != NULL && entry != malloc)
        may_call = real_is_jump_entry((void *)entry) && real_entry_leads_to_us(entry);
    return real_resolves_to("malloc", (void *)malloc, may_call) &&
           real_resolves_to("calloc", (void *)calloc, may_call) &&
           real_resolves_to("realloc", (void *)realloc, may_call) &&
           real_resolves_to("free", (void *)free, may_call);
}
