/* What the roots_*.c share. Not part of the contract.
 *
 * Every function that reads memory for the marker returns false when the roots are not complete; the reason is then in
 * roots.skip, the first one counts. All of it runs in the stopped world on the collector's stack: no allocation, no
 * lock.
 */
#ifndef GC_ROOTS_INT_H
#define GC_ROOTS_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "gc/roots.h"
#include "os/os.h"

enum {
    ROOTS_TEXT_BYTES = 64 * 1024,
    ROOTS_COPY_BYTES = 64 * 1024,
    ROOTS_RESIDENT_PAGES = 16 * 1024, /* one byte each */
};
/* More than this is not worth a pause (about 2 s): the cycle is skipped. */
#define ROOTS_MAX_BYTES (UINT64_C(16) << 30)
/* Where nobody tells which pages have content, so much may be read in the dark. */
#define ROOTS_MAX_BLIND_BYTES (UINT64_C(1) << 30)

/* Asking mincore costs some 50 ns for each page of shared memory, there or not. */
#define ROOTS_MAX_ASKED_BYTES (UINT64_C(16) << 30)

enum roots_map_kind {
    /* listed, so that stacks in it are known, but not a root: */
    ROOTS_MAP_KERNEL,      /* vdso, vvar */
    ROOTS_MAP_RING,        /* of io_uring or AIO */
    ROOTS_MAP_WITH_FILE,   /* shared with one */
    ROOTS_MAP_WITH_DEVICE, /* shared with one, or with another object of the kernel's */
    /* roots: */
    ROOTS_MAP_PRIVATE, /* pages with content */
    ROOTS_MAP_DEVICE,  /* private, perhaps of a device: the same, if the kernel lets it be read as memory */
    ROOTS_MAP_SHMEM,   /* shared memory in the page cache: whole; mincore knows about it */
    ROOTS_MAP_SHARED,  /* other shared memory without a name: whole */
};
struct roots_map {
    uintptr_t lo, hi;
    uint8_t kind; /* enum roots_map_kind */
    bool is_readable;  /* by plain loads */
    bool is_anonymous; /* no file behind it */
    bool is_code;      /* executable: compiled while the program runs, where it has content of its own */
    bool is_data;      /* data segment of a program or library, or what follows one: its zeroed part */
    uint64_t n_read;   /* bytes fed to the sink by the last scan */
};
static inline bool roots_map_is_root(const struct roots_map *m)
{
    return m->kind >= ROOTS_MAP_PRIVATE;
}
static inline bool roots_map_is_shared(const struct roots_map *m)
{
    return m->kind == ROOTS_MAP_SHMEM || m->kind == ROOTS_MAP_SHARED;
}
/* A private mapping of a file without permission to read. */
static inline bool roots_map_is_closed_file(const struct roots_map *m)
{
    return m->kind == ROOTS_MAP_PRIVATE && !m->is_readable && !m->is_anonymous;
}

enum roots_zone_kind { ROOTS_ZONE_PLAIN, ROOTS_ZONE_STACK, ROOTS_ZONE_DEAD };
struct roots_zone {
    uintptr_t lo, hi;
    enum roots_zone_kind kind;
};
/* Sorted and disjoint once sealed. */
struct roots_zones {
    struct roots_zone *zones;
    size_t n, max;
};

/* A range of the program's, roots_table.c. */
struct roots_range {
    uintptr_t lo, hi;
};

struct roots {
    const struct roots_sink *sink;
    uintptr_t caller_sp;
    enum cycle_skip skip; /* why the roots are incomplete */
    uint64_t n_bytes;     /* fed to the sink */
    uint64_t n_asked_bytes; /* of which mincore was asked */
    bool is_open; /* the descriptors of a scan */
    bool has_pagemap;
    bool has_swap;        /* something of the system is swapped out: what is not resident may still have content */
    bool did_trust_resident; /* a page was left out because it is not resident and nothing is swapped out */
    bool has_hider;       /* so is SWI-Prolog's: cycle_keeps_malloc */
    unsigned disguises, expected; /* DISGUISE_*: of libraries that are mapped; of what is in the process from the start */
    bool has_uring;       /* the kernel holds pointers that nobody can list */
    bool did_ask_userfault;
    bool has_userfault;   /* a page that is not there may be a stopped thread's to deliver */
    bool did_ask_closed, has_closed_content, is_at_closed; /* is_at_closed: while it is asked */
    struct roots_map *maps; /* SCRATCH_MAPS, behind the text buffer */
    size_t n_maps, max_maps, n_maps_hint;
    size_t n_scanned;       /* of the mappings, the first so many; the rest was not reached */
    const struct roots_map *last_map; /* where the range lies that ended at last_hi, if words of it may lie at other places than multiples of 8 */
    uintptr_t last_hi;
    char *text;             /* SCRATCH_MAPS */
    struct roots_zones threads, excluded; /* SCRATCH_ROOTS */
    uintptr_t *copy;        /* SCRATCH_ROOTS, ROOTS_COPY_BYTES */
    unsigned char *resident;/* SCRATCH_ROOTS, ROOTS_RESIDENT_PAGES */
};
extern struct roots roots;

/* The first reason stays. Always false. */
bool roots_fail(enum cycle_skip skip);
bool roots_open(void); /* what is read from, unless it is open; until roots_finish */

/* ---- roots_feed.c: reading memory ---------------------------------------------------------------------------- */
enum roots_rule {
    ROOTS_RULE_WORDS,  /* whole words */
    ROOTS_RULE_PACKED, /* words at each multiple of 4 */
    ROOTS_RULE_STACK,  /* the same, and a word that is the end of a block keeps it */
    ROOTS_RULE_CODE,   /* words at each byte: immediates of instructions */
};
/* Words of our own, which cannot fault. */
void roots_feed_own(enum roots_rule rule, const uintptr_t *words, size_t n_words);
/* Memory of the program that is mapped readable. A page that faults is read through the kernel; where is_shared, one
 * that cannot be read has no content (end of file). */
bool roots_feed_direct(enum roots_rule rule, uintptr_t lo, uintptr_t hi, bool is_shared);
/* Memory that is not readable now. */
bool roots_feed_copied(enum roots_rule rule, uintptr_t lo, uintptr_t hi, bool is_shared);
void roots_feed_block(uintptr_t addr); /* of the arena */

/* ---- roots_zones.c ------------------------------------------------------------------------------------------- */
/* Where there is no room, the zone is not made: what lies there is read by the plain rule. */
void roots_zones_add(struct roots_zones *z, uintptr_t lo, uintptr_t hi, enum roots_zone_kind kind);
/* Sort and merge: where zones overlap, the union becomes one zone of kind `overlap`. */
void roots_zones_seal(struct roots_zones *z, enum roots_zone_kind overlap);
/* Kind at addr; *end is lowered to where that changes. */
enum roots_zone_kind roots_zones_at(const struct roots_zones *z, uintptr_t addr, uintptr_t *end);

/* ---- roots_maps.c -------------------------------------------------------------------------------------------- */
bool roots_maps_collect(void); /* fills the table of mappings; fails when the list is not complete */
struct roots_map *roots_maps_find(uintptr_t addr); /* NULL: not mapped, or ours */
struct roots_map *roots_maps_next(uintptr_t addr); /* the first that ends above addr; NULL: none */
enum roots_rule roots_maps_rule(const struct roots_map *m, enum roots_zone_kind zone);
bool roots_maps_scan(void);
uint64_t roots_maps_estimate(void); /* world running: bytes of content in the collected mappings */

/* ---- roots_content.c: which pages of a mapping are worth reading --------------------------------------------- */
typedef bool (*roots_run_fn)(uintptr_t lo, uintptr_t hi, void *ctx);
bool roots_content_walk(const struct roots_map *m, roots_run_fn fn, void *ctx);
/* Something was swapped out while pages were left out because nothing was: the roots are in doubt. */
bool roots_content_verify(void);

/* ---- roots_threads.c ----------------------------------------------------------------------------------------- */
bool roots_threads_place(void); /* zones of all stacks; fails when a stack is not in the list of mappings */
bool roots_threads_scan(void);  /* frames of handlers: registers */

/* ---- roots_kernel.c: pointers that only the kernel holds ----------------------------------------------------- */
void roots_kernel_prepare(void); /* world running */
bool roots_kernel_open(void);
void roots_kernel_close(void);
uint64_t roots_kernel_shmem_device(void); /* of shared anonymous memory and memory files of small pages; 0 unknown */
bool roots_kernel_scan(void);
bool roots_kernel_has_no_userfault(void); /* asked once per scan, by who wants to touch pages that may not be there */
bool roots_kernel_has_no_closed_content(void); /* nor do any of these have pages of their own: roots_map_is_closed_file */

/* ---- roots_table.c ------------------------------------------------------------------------------------------- */
size_t roots_table_n_excluded(void); /* world running, in a critical section */
void roots_table_place(void); /* excluded ranges become zones */
bool roots_table_scan(void);  /* added ranges */
uint64_t roots_table_added(uintptr_t lo, uintptr_t hi); /* bytes of it that lie in added ranges; world running */
void roots_table_fork_child(void);

#endif
