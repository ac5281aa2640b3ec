/* What the snapshot_*.c share. All of it runs in the clone, which is alone: no locks, no allocation but scratch. */
#ifndef GC_SNAPSHOT_INT_H
#define GC_SNAPSHOT_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/fmt.h"
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
};

struct snapshot {
    struct snapshot_root *roots; /* SCRATCH_MARK_STACK */
    size_t n_roots, max_roots;
    struct snapshot_group *groups; /* SCRATCH_OTHER */
    size_t n_groups;
    char *out; /* SNAPSHOT_OUT_BYTES, for snapshot_write.c */
    uint32_t n_blocks; /* marked */
    bool is_void;      /* something did not fit or could not be read */
};
extern struct snapshot snapshot;

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

/* ---- snapshot_write.c ---- */
bool snapshot_write(int fd);

#endif
