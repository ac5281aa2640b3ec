/* What the snapshot_*.c share. All of it runs in the clone, which is alone: no locks, no allocation but scratch, and
 * mappings for names from files. */
#ifndef GC_SNAPSHOT_INT_H
#define GC_SNAPSHOT_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/fmt.h"
#include "heap/site.h"
#include "heap/span.h"

enum { SNAPSHOT_NAME_MAX = 96, SNAPSHOT_MAX_GROUPS = 4096, SNAPSHOT_OUT_BYTES = 64 * 1024 };

/* A word outside the heap that refers to a block. */
struct snapshot_root {
    uintptr_t at;     /* its address; 0: not a word in memory */
    uint32_t ordinal; /* of the block */
    uint32_t group;
};
/* Where such words lie: a thread's stack, a library, a mapping. */
struct snapshot_group {
    char name[SNAPSHOT_NAME_MAX];
    uintptr_t key, base; /* base: what offsets count from */
    uint32_t n_roots;
    bool is_module; /* a file with symbols of its own */
};
/* What an address is called by the module that it lies in. */
struct snapshot_place {
    const char *module, *path; /* its name, and its file; path NULL: in no file */
    uintptr_t offset;          /* in the module, for addr2line */
    const char *symbol;        /* "" unknown */
    uintptr_t in_symbol;
};
/* Where blocks in the snapshot came from. */
struct snapshot_site {
    const struct site *site;
    uint64_t n_blocks, n_bytes;
    uint32_t first_node; /* of the tree of traces: its calls follow one another, the outermost first */
};

struct snapshot {
    struct snapshot_root *roots; /* SCRATCH_MARK_STACK */
    size_t n_roots, max_roots;
    struct snapshot_group *groups; /* SCRATCH_OTHER */
    size_t n_groups;
    struct snapshot_site *sites;
    size_t n_sites;
    uintptr_t *calls; /* return addresses in the stacks of sites: each once, in order */
    size_t n_calls;
    char *out; /* SNAPSHOT_OUT_BYTES, for snapshot_write.c */
    uint32_t n_blocks; /* marked */
    bool is_void;      /* something did not fit or could not be read */
};
extern struct snapshot snapshot;

/* Memory for the rest of the clone's life, behind what was asked for before; NULL: none. */
void *snapshot_room(size_t n_bytes);

/* ---- snapshot_blocks.c ---- */
void snapshot_number_blocks(void); /* changes the clone's copies of the descriptors: only what is here works then */
/* Ordinal of the block that word refers to. false: none, or one that is not marked. */
bool snapshot_find(uint64_t word, uint32_t *ordinal);
bool snapshot_find_end(uint64_t word, uint32_t *ordinal); /* the block that ends just there */
/* Each marked block, in the order of ordinals. */
void snapshot_walk(void (*fn)(struct span *s, uint32_t idx, void *ctx), void *ctx);
/* Each reference of a block to another. */
void snapshot_edges(struct span *s, uint32_t idx, void (*fn)(size_t offset, uint32_t ordinal, void *ctx), void *ctx);

/* ---- snapshot_roots.c ---- */
bool snapshot_collect_roots(void); /* fills roots and groups; false: the roots are not complete */

/* ---- snapshot_names.c ---- */
bool snapshot_names_read(void); /* the list of mappings; false: it cannot be read */
uint32_t snapshot_group_of(uintptr_t at);
uint32_t snapshot_group_named(const char *name); /* a group of roots without addresses */
struct snapshot_place snapshot_place_of(uintptr_t addr);

/* ---- snapshot_sites.c ---- */
bool snapshot_sites_read(void); /* fills sites and calls; false: no memory */
const struct snapshot_site *snapshot_site_of(uintptr_t start); /* of a block; NULL: it is not on record */
size_t snapshot_call_rank(uintptr_t pc); /* index of calls */

/* ---- snapshot_write.c ---- */
bool snapshot_write(int fd);

#endif
